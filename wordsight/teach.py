"""`teach` and `doubtful`: what a saved task has learnt from annotated images, and which of these are likely wrong."""

import webbrowser
from argparse import ArgumentParser, Namespace
from typing import Any
from urllib.parse import quote

from contract.invocation import HEAD_DIGITS
from contract.problems import shorten
from contract.taught import SHOWN_DOUBTFUL
from wordsight.api import Api, CommandError
from wordsight.terminal import raw, share_line, table, watch

LABEL_CHARS = 40


def add_teach(parser: ArgumentParser) -> None:
    parser.add_argument("task", help="a saved task, of which images are annotated")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--undo", action="store_true", help="go back to the words alone, until it is taught again")
    way.add_argument("--head", metavar="SHA256", help="go back to an earlier head, by the beginning of its sha256")
    parser.add_argument("--no-wait", action="store_true", help="only begin")


def teach(api: Api, arguments: Namespace) -> None:
    """Let a task learn from its annotations now, or go back."""
    path = f"{_path(arguments.task)}/teach"
    if arguments.undo:
        taught = api.ask("DELETE", path)
    else:
        body = {"head": _head(api, arguments.task, arguments.head)} if arguments.head else {}
        taught = api.create(path, body)
        if not arguments.no_wait:
            taught = watch(lambda: _taught(api, arguments.task), line, lambda found: not found["teaching"])
    print(raw(taught) if arguments.json else _summary(taught))


def add_doubtful(parser: ArgumentParser) -> None:
    parser.add_argument("task", help="a saved task that was taught")
    parser.add_argument("--open", action="store_true", help="open their images in a browser")
    parser.add_argument(
        "--limit", type=int, metavar="N", default=SHOWN_DOUBTFUL, help=f"only the worst N of {SHOWN_DOUBTFUL}"
    )


def doubtful(api: Api, arguments: Namespace) -> None:
    """List the annotations of a task that are likeliest wrong, worst first."""
    learnt = _taught(api, arguments.task)["learnt"]
    found = (learnt["doubtful"] if learnt else [])[: max(arguments.limit, 0)]
    if arguments.json:
        print(raw(found))
    elif not found:
        print("no annotation is likely to be wrong, as far as the others tell")
    else:
        rows = [(f"{each['doubt']:.0%}", each["label"], each["answer"], each["dataset"], each["id"]) for each in found]
        print(table([("DOUBT", "SAID", "TAKEN FOR", "DATASET", "ID"), *rows]))
    if arguments.open:
        for each in found:
            webbrowser.open(api.get(f"/images/{each['image']}")["url"])


def line(taught: dict[str, Any]) -> str:
    """How far it is."""
    state: str = "looking at the annotations" if taught["teaching"] else taught["state"]
    progress = taught["progress"]
    return share_line(progress["done"], progress["of"], f"images; {state}") if progress else state


def _path(task: str) -> str:
    return f"/tasks/{quote(task, safe='')}"


def _taught(api: Api, task: str) -> dict[str, Any]:
    taught: dict[str, Any] | None = api.get(_path(task))["taught"]
    if taught is None:
        raise CommandError(f"nothing was ever taught to {task}: annotate images with its labels")
    return taught


def _head(api: Api, task: str, begins: str) -> str:
    """The one head whose sha256 begins so."""
    heads: list[str] = [each["sha256"] for each in _taught(api, task)["heads"]]
    found = [each for each in heads if each.startswith(begins.lower())]
    if len(found) != 1:
        known = ", ".join(each[:HEAD_DIGITS] for each in heads) or "none"
        raise CommandError(f"{len(found)} heads of {task} begin with {begins}, there are: {known}")
    return found[0]


def _summary(taught: dict[str, Any]) -> str:
    learnt = taught["learnt"]
    rows: list[tuple[str, object]] = [("state", taught["state"]), ("head", (taught["head"] or "-")[:HEAD_DIGITS])]
    if learnt is None:
        return table(rows)
    before, after = learnt["before"], learnt["after"]
    rows.append(("images", f"{sum(learnt['images'].values()):,} of {len(learnt['images']):,} labels"))
    if before and after:
        rows.append(("accuracy", f"{before['accuracy']:.3f} by words, {after['accuracy']:.3f} taught"))
        error = "calibration_error"
        rows.append(("ECE", f"{before[error]:.3f} by words, {after[error]:.3f} taught"))
    rows += [("why", learnt["reason"])] if learnt["reason"] else []
    rows += [("advice", each) for each in learnt["advice"]]
    rows += [("doubtful", f"{len(learnt['doubtful'])}: wordsight doubtful lists them")] if learnt["doubtful"] else []
    labels = [(shorten(label, LABEL_CHARS), count) for label, count in learnt["images"].items()]
    heads = [
        (each["sha256"][:HEAD_DIGITS], each["created"], each["images"], f"{each['after']['accuracy']:.3f}")
        for each in taught["heads"]
    ]
    parts = [table(rows), table([("LABEL", "IMAGES"), *labels])]
    return "\n\n".join([*parts, *([table([("HEAD", "CREATED", "IMAGES", "ACCURACY"), *heads])] if heads else [])])
