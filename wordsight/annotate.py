"""`annotate`: keep what a folder says of its images, in any layout that imports and training read, too."""

import sys
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

from contract.annotations import DEFAULT_DATASET, Split
from contract.layouts.find import LayoutError
from contract.layouts.places import Directory, shown
from contract.layouts.rows import Reading, read_all
from contract.layouts.said import Fields, Said
from wordsight.api import Api, CommandError, RefusedError
from wordsight.images import image_chunks, image_source, read_image
from wordsight.terminal import Progress, raw, share_line

_OF_THE_IMAGES = (400, 413, 415, 422)
"""Refusals of what was sent, after which the next images may be taken."""


class Found(NamedTuple):
    """One annotation that the folder makes, of which image, and the line or file that says it."""

    place: str
    path: Path
    said: Fields


def add(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="images with metadata.jsonl or a table, or one folder per label")
    parser.add_argument("--dataset", default=DEFAULT_DATASET, metavar="NAME")
    parser.add_argument("--task", metavar="NAME", help="what the labels answer")
    parser.add_argument("--split", choices=get_args(Split), help="of images of which the folder does not say it")


def run(api: Api, arguments: Namespace) -> None:
    """Send everything, and tell what was kept. Raises CommandError if something was not."""
    reading = read(arguments.folder)
    found = list(_annotations(reading, arguments))
    for sentence in (f"{reading.layout.kind}: {reading.layout.why}", *reading.findings.sentences()):
        print(shown(sentence), file=sys.stderr)
    problems: dict[str, list[str]] = defaultdict(list)
    for row in reading.rows:
        if isinstance(row.said, str):
            problems[row.place].append(row.said)
    progress = Progress()
    answers: list[Any] = []
    done = 0
    for chunk in image_chunks(_with_images(found, problems)):
        kept = _send(api, chunk)
        for (each, _), answer in zip(chunk, kept, strict=True):
            if "status" in answer:
                problems[each.place].append(answer["detail"])
        answers += kept
        done += len(chunk)
        progress.show(share_line(done, len(found), "images"))
    progress.end()
    _report(reading, answers, problems, as_json=arguments.json)


def read(folder: Path) -> Reading:
    """Everything in the folder, in a stable order. Raises CommandError if there is nothing."""
    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder")
    try:
        reading = read_all(Directory(folder))
    except LayoutError as error:
        raise CommandError(f"nothing to annotate is in {folder}: {error}") from None
    if not reading.rows:
        raise CommandError(f"nothing to annotate is in {folder}: {reading.layout.why}, but there is no row")
    return reading


def _annotations(reading: Reading, arguments: Namespace) -> Iterator[Found]:
    for row in reading.rows:
        if isinstance(row.said, Said):
            for annotation in row.said.annotations(arguments.task, arguments.split, reading.findings):
                path = arguments.folder / row.said.image
                yield Found(row.place, path, {**annotation, "dataset": arguments.dataset})


def _with_images(found: list[Found], problems: dict[str, list[str]]) -> Iterator[tuple[Found, bytes]]:
    """Those whose file can be read and sent; the others are problems."""
    for each in found:
        try:
            image = read_image(each.path)
        except CommandError as error:
            problems[each.place].append(str(error))
        else:
            yield each, image


def _send(api: Api, chunk: list[tuple[Found, bytes]]) -> list[Any]:
    """What is answered of each; a refusal of all is the problem of each."""
    try:
        annotations = [{**each.said, "image": image_source(api, image)} for each, image in chunk]
        stored: list[Any] = api.create("/annotations", {"annotations": annotations})
    except RefusedError as error:
        if error.status not in _OF_THE_IMAGES:
            raise
        return [{"status": error.status, "detail": str(error)}] * len(chunk)
    return stored


def _report(reading: Reading, answers: list[Any], problems: dict[str, list[str]], *, as_json: bool) -> None:
    kept = [answer for answer in answers if "status" not in answer]
    new = sum(answer["new"] for answer in kept)
    if as_json:
        print(raw(answers))
    else:
        print(f"{new:,} new annotations, {len(kept) - new:,} were there already")
    if problems:
        lines = [f"  {place}: {why[0]}" for place, why in problems.items()]
        raise CommandError(
            "\n".join([f"{len(problems):,} of {len(reading.rows):,} images were not kept:", *map(shown, lines)])
        )
