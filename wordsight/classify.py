"""`classify`: which labels fit these images?"""

import csv
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

from contract.layouts.places import shown
from wordsight.api import Api
from wordsight.bulk import Failed, Told, add_images, ask_each
from wordsight.images import find_images
from wordsight.tasks import add_question, parameters_of
from wordsight.terminal import bar, json_line, raw

Write = Callable[[str, Any], None]


def add(parser: ArgumentParser) -> None:
    add_images(parser, "+")
    add_question(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--jsonl", action="store_true", help="a line of JSON per image: its path, and answer or error")
    form.add_argument("--csv", action="store_true", help="a table with a row per image and label")


def run(api: Api, arguments: Namespace) -> None:
    """Print each answer as it comes. Raises CommandError after all of them if an image has none."""
    found = find_images(arguments.images)
    question = parameters_of(arguments)

    def ask(patient: Api, images: list[Any]) -> list[Any]:
        answers: list[Any] = patient.ask("POST", "/classify", {"inputs": images, "parameters": question})
        return answers

    told = Told(found, arguments)
    outcomes = told.each(ask_each(api, found.paths, ask))
    if arguments.json:
        print(raw([_with_path(path, each) if isinstance(each, Failed) else each for path, each in outcomes]))
    else:
        write = _write_line if arguments.jsonl else _table(arguments) if arguments.csv else _write_bars()
        for path, outcome in outcomes:
            write(path, outcome)
            sys.stdout.flush()
    told.end()


def _with_path(path: str, outcome: Any) -> dict[str, Any]:
    return {"path": path, **({"error": outcome.sentence} if isinstance(outcome, Failed) else {"answer": outcome})}


def _write_line(path: str, outcome: Any) -> None:
    print(json_line(_with_path(path, outcome)))


def _table(arguments: Namespace) -> Write:
    """Writes rows, of which an image that failed has none: path, label and score, with several tasks also the task."""
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["path", *(["task"] if len(arguments.task or ()) > 1 else []), "label", "score"])

    def write(path: str, outcome: Any) -> None:
        if isinstance(outcome, Failed):
            return
        by_task = outcome.items() if isinstance(outcome, dict) else [(None, outcome)]
        for task, scores in by_task:
            rows.writerows([path, *([] if task is None else [task]), each["label"], each["score"]] for each in scores)

    return write


def _write_bars() -> Write:
    """Writes an image's path and its labels with bars, blank lines between the images."""
    between = ""

    def write(path: str, outcome: Any) -> None:
        nonlocal between
        if not isinstance(outcome, Failed):
            print(f"{between}{shown(path)}\n{_rendered(outcome)}")
            between = "\n"

    return write


def _rendered(answer: Any) -> str:
    if isinstance(answer, dict):
        return "\n".join(f"  {task}\n{_scores(scores)}" for task, scores in answer.items())
    return _scores(answer)


def _scores(scores: list[dict[str, Any]]) -> str:
    width = max((len(each["label"]) for each in scores), default=0)
    return "\n".join(f"  {each['label']:{width}}  {each['score']:6.1%}  {bar(each['score'])}" for each in scores)
