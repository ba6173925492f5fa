"""`annotate`: keep what a folder says of its images."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any, get_args

from contract.annotations import DEFAULT_DATASET, Split
from wordsight import images
from wordsight.api import Api, CommandError
from wordsight.folder import Found, find
from wordsight.terminal import Progress, raw, share_line

SHOWN_PROBLEMS = 10


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
    for pack in images.packs((each, images.read(each.path)) for each in found):
        annotations = [{**_said(each, arguments), "image": images.source(api, image)} for each, image in pack]
        stored = api.create("/annotations", {"annotations": annotations})
        answers += zip((each for each, _ in pack), stored, strict=True)
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
