"""`tasks`: questions with a name."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from urllib.parse import quote

from wordsight.api import Api, CommandError
from wordsight.questions import add_question, parameters_of
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
        _list(api, as_json=arguments.json)
        return
    path = f"/tasks/{quote(arguments.name, safe='')}"
    if arguments.delete:
        api.ask("DELETE", path)
    else:
        print(raw(api.ask("PUT", path, question) if question else api.get(path)))


def _list(api: Api, *, as_json: bool) -> None:
    listed = api.get("/tasks")
    rows = [(each["name"], each["labels"], each["description"]) for each in listed["tasks"]]
    print(raw(listed) if as_json else table([("NAME", "LABELS", "DESCRIPTION"), *rows]))
