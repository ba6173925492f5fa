"""`annotations`: what is kept of a dataset."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import quote

from contract.annotations import DEFAULT_DATASET
from contract.problems import shorten
from wordsight.api import Api, CommandError
from wordsight.terminal import fields, json_line, raw, table

SHOWN_SENTENCE_CHARS = 60


def add(parser: ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", help="one of them; without it all are listed")
    parser.add_argument("--dataset", default=DEFAULT_DATASET, metavar="NAME")
    parser.add_argument("--limit", type=int, metavar="N", help="list only so many")
    parser.add_argument("--jsonl", action="store_true", help="list them as lines of JSON")
    parser.add_argument("--delete", action="store_true", help="forget it; its image is kept")
    parser.add_argument("--delete-image", metavar="SHA256", help="forget an image and all that is said of it anywhere")


def run(api: Api, arguments: Namespace) -> None:
    """List a dataset, or show or delete one annotation."""
    if arguments.delete_image is not None:
        if arguments.id is not None or arguments.delete:
            raise CommandError("give --delete-image by itself: it forgets every annotation of the image")
        erased = api.ask("DELETE", "/annotations", query={"image": arguments.delete_image})
        print(raw(erased) if arguments.json else f"{erased['annotations']:,} annotations and their image are forgotten")
    elif arguments.id is not None:
        path, query = f"/annotations/{quote(arguments.id, safe='')}", {"dataset": arguments.dataset}
        if arguments.delete:
            api.ask("DELETE", path, query=query)
        else:
            found = api.ask("GET", path, query=query)
            print(raw(found) if arguments.json else table(fields(found)))
    elif arguments.delete:
        raise CommandError("which annotation? give its id")
    else:
        _list(api, arguments)


def _list(api: Api, arguments: Namespace) -> None:
    pages = _pages(api, arguments.dataset)
    first = next(pages)
    every = islice(_records(first, pages), arguments.limit)
    if arguments.jsonl:
        for each in every:
            print(json_line(each))
    elif arguments.json:
        print(raw({"annotations": list(every), "counts": first["counts"]}))
    else:
        print(table([("ID", "SPLIT", "TASK", "LABEL", "SENTENCES"), *map(_row, every)]))
        print(_balance(first["counts"]))


def _pages(api: Api, dataset: str) -> Iterator[dict[str, Any]]:
    after = None
    while True:
        page = api.get("/annotations", dataset=dataset, after=after)
        yield page
        after = page["next"]
        if after is None:
            return


def _records(first: dict[str, Any], pages: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield from first["annotations"]
    for page in pages:
        yield from page["annotations"]


def _row(record: dict[str, Any]) -> tuple[object, ...]:
    said = shorten("; ".join(record.get("sentences") or []), SHOWN_SENTENCE_CHARS)
    return record["id"], record.get("split"), record.get("task"), record.get("label"), said


def _balance(counts: dict[str, Any]) -> str:
    """`12 annotations; pet: 6 cat, 6 dog`"""
    tasks = [
        f"{task or 'labels'}: {', '.join(f'{count:,} {label}' for label, count in labels.items())}"
        for task, labels in counts["labels"].items()
    ]
    return "; ".join([f"{counts['records']:,} annotations", *tasks])
