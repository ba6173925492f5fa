"""`tasks`: questions with a name; and the flags by which every command is told what to ask of an image."""

from argparse import ArgumentParser, Namespace
from typing import Any
from urllib.parse import quote

from contract.questions import DEFAULT_HYPOTHESIS_TEMPLATE, UNKNOWN_LABEL
from wordsight.api import Api, CommandError
from wordsight.terminal import raw, table


def add(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="one of them; without it all are listed, with --labels it is saved")
    add_question(parser, saved=False)
    parser.add_argument("--description", metavar="TEXT", help="what it is for")
    parser.add_argument("--delete", action="store_true", help="forget it")


def run(api: Api, arguments: Namespace) -> None:
    """List the tasks, or show, save or delete one."""
    question = parameters_of(arguments)
    if arguments.description is not None:
        question["description"] = arguments.description
    if arguments.name is None:
        if question or arguments.delete:
            raise CommandError("which task? give its name")
        listed = api.get("/tasks")
        rows = [(each["name"], each["labels"], each["description"]) for each in listed["tasks"]]
        print(raw(listed) if arguments.json else table([("NAME", "LABELS", "DESCRIPTION"), *rows]))
        return
    path = f"/tasks/{quote(arguments.name, safe='')}"
    if arguments.delete:
        api.ask("DELETE", path)
    else:
        print(raw(api.ask("PUT", path, question) if question else api.get(path)))


def add_question(parser: ArgumentParser, *, saved: bool = True) -> None:
    """--labels and what goes with them; with `saved` also --task, for questions that have a name."""
    parser.add_argument("--labels", metavar="A,B,…", help="the candidate labels")
    if saved:
        parser.add_argument(
            "--task", action="append", metavar="NAME", help="a saved task instead; repeat it for several"
        )
        parser.add_argument(
            "--words", action="store_true", help="answer a saved task by its words alone, not by what it was taught"
        )
    parser.add_argument("--template", action="append", metavar="TEXT", help=f"such as {DEFAULT_HYPOTHESIS_TEMPLATE!r}")
    parser.add_argument("--multi-label", action="store_true", default=None, help="score each label on its own")
    parser.add_argument(
        "--unknown", action="store_true", default=None, help=f"answer {UNKNOWN_LABEL!r} too, for where no label fits"
    )
    parser.add_argument("--top-k", type=int, metavar="N", help="only the best N labels")
    parser.add_argument("--threshold", type=float, metavar="SCORE", help="only labels that score at least this")


def parameters_of(arguments: Namespace) -> dict[str, Any]:
    """The parameters as the API takes them, without what was not said: the API says what is missing."""
    tasks = getattr(arguments, "task", None)
    said = {
        "candidate_labels": arguments.labels,
        "task": tasks[0] if tasks and len(tasks) == 1 else tasks,
        "taught": False if getattr(arguments, "words", False) else None,
        "hypothesis_template": arguments.template,
        "multi_label": arguments.multi_label,
        "unknown": arguments.unknown,
        "top_k": arguments.top_k,
        "threshold": arguments.threshold,
    }
    return {name: value for name, value in said.items() if value is not None}
