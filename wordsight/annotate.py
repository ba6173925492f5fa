"""`annotate`: keep what a folder says of its images: in metadata.jsonl, or by a folder per label, perhaps by split."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

from contract.annotations import DEFAULT_DATASET, SPLIT_NAMES, Split
from contract.imports import IMAGE_FIELDS, IMAGE_SUFFIXES, SENTENCE_FIELDS
from wordsight.api import Api, CommandError, image_chunks, image_source, read_image
from wordsight.terminal import Progress, raw, share_line

SHOWN_PROBLEMS = 10
_FIELDS = ("label", "task", "split", "dataset")


class Found(NamedTuple):
    """One image, and the fields of its annotation that the folder tells."""

    path: Path
    said: dict[str, Any]


def add(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="images with metadata.jsonl, or one folder per label")
    parser.add_argument("--dataset", default=DEFAULT_DATASET, metavar="NAME")
    parser.add_argument("--task", metavar="NAME", help="what the labels answer")
    parser.add_argument("--split", choices=get_args(Split), help="of images of which the folder does not say it")


def run(api: Api, arguments: Namespace) -> None:
    """Send everything, and tell what was kept. Raises CommandError if something was not."""
    found = find(arguments.folder)
    progress = Progress()
    answers: list[tuple[Found, Any]] = []
    for chunk in image_chunks((each, read_image(each.path)) for each in found):
        annotations = [{**_said(each, arguments), "image": image_source(api, image)} for each, image in chunk]
        stored = api.create("/annotations", {"annotations": annotations})
        answers += zip((each for each, _ in chunk), stored, strict=True)
        progress.show(share_line(len(answers), len(found), "images"))
    progress.end()
    _report(answers, as_json=arguments.json)


def _said(found: Found, arguments: Namespace) -> dict[str, Any]:
    """What holds for all stands where the folder says nothing."""
    for_all = {"dataset": arguments.dataset, "split": arguments.split}
    if "label" in found.said:
        for_all["task"] = arguments.task
    return {**{name: value for name, value in for_all.items() if value is not None}, **found.said}


def _report(answers: list[tuple[Found, Any]], *, as_json: bool) -> None:
    problems = [(found.path, answer["detail"]) for found, answer in answers if "status" in answer]
    new = sum(answer.get("new", False) for _, answer in answers)
    if as_json:
        print(raw([answer for _, answer in answers]))
    else:
        print(f"{new:,} new annotations, {len(answers) - len(problems) - new:,} were there already")
    if problems:
        lines = [f"  {path}: {detail}" for path, detail in problems[:SHOWN_PROBLEMS]]
        raise CommandError("\n".join([f"{len(problems)} of {len(answers)} images were not kept, such as:", *lines]))


def find(folder: Path) -> list[Found]:
    """Everything in the folder, in a stable order. Raises CommandError if there is nothing, or a line can't be read."""
    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder")
    manifests = sorted([*folder.glob("*.jsonl"), *folder.glob("*/*.jsonl")])
    found = [each for manifest in manifests for each in _of_lines(manifest)] if manifests else list(_of_folders(folder))
    if not found:
        raise CommandError(f"nothing to annotate is in {folder}: neither metadata.jsonl nor folders named after labels")
    return found


def _of_lines(manifest: Path) -> Iterator[Found]:
    for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
            image = next(said[name] for name in IMAGE_FIELDS if name in said)
        except (ValueError, TypeError, StopIteration):
            raise CommandError(
                f"{manifest} line {number} is no JSON object that names an image by one of {', '.join(IMAGE_FIELDS)}"
            ) from None
        sentences: Any = next((said[name] for name in SENTENCE_FIELDS if name in said), [])
        fields = {name: said[name] for name in _FIELDS if said.get(name) is not None}
        split = SPLIT_NAMES.get(str(fields.get("split", manifest.parent.name)))
        yield Found(manifest.parent / image, {"sentences": sentences, **fields, **({"split": split} if split else {})})


def _of_folders(folder: Path) -> Iterator[Found]:
    folders = [each for each in folder.iterdir() if each.is_dir()]
    has_splits = bool(folders) and all(each.name in SPLIT_NAMES for each in folders)
    for path in sorted(folder.rglob("*")):
        labels = list(path.relative_to(folder).parts[:-1])
        if path.suffix.lower() not in IMAGE_SUFFIXES or not labels:
            continue
        split = {"split": SPLIT_NAMES[labels.pop(0)]} if has_splits else {}
        if labels:
            yield Found(path, {"label": labels[0], **split})
