"""`batch`: classify many images that lie in the data bucket."""

from argparse import ArgumentParser, Namespace
from typing import Any

from wordsight.api import Api, CommandError
from wordsight.tasks import add_question, parameters_of
from wordsight.terminal import raw, share_line, table, watch

OVER = frozenset({"done", "failed", "stopped"})


def add(parser: ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", help="one of them; without it all are listed, or with --prefix one is begun")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--prefix", metavar="S3_PREFIX", help="begin one: all images whose keys begin like this")
    source.add_argument("--manifest", metavar="S3_KEY", help='begin one: the images that its lines {"s3_key": …} name')
    add_question(parser)
    parser.add_argument("--watch", action="store_true", help="wait until it is over, and show how it goes")
    parser.add_argument("--stop", action="store_true", help="end it; what is done is kept")
    parser.add_argument("--resume", action="store_true", help="go on with what is missing")


def run(api: Api, arguments: Namespace) -> None:
    """Begin a batch, list all, or tell of one, stop or resume it."""
    begins = arguments.prefix is not None or arguments.manifest is not None
    if arguments.id is not None and begins:
        raise CommandError("give the id of a batch, or --prefix or --manifest to begin one, not both")
    if arguments.id is None and not begins:
        if arguments.stop or arguments.resume or arguments.watch:
            raise CommandError("which batch? give its id")
        listed = api.get("/batches")
        rows = [(each["id"], each["state"], each["done_images"], each["images"]) for each in listed["batches"]]
        print(raw(listed) if arguments.json else table([("ID", "STATE", "DONE", "IMAGES"), *rows]))
        return
    batch = _begin(api, arguments) if begins else _one(api, arguments)
    if arguments.watch:
        batch = watch(lambda: api.get(f"/batches/{batch['id']}"), line, lambda found: found["state"] in OVER)
    print(raw(batch) if arguments.json else _summary(batch))
    if arguments.watch and batch["state"] != "done":
        raise CommandError(f"the batch {batch['id']} is {batch['state']}: {batch['reason']}")


def line(batch: dict[str, Any]) -> str:
    """How far a batch is."""
    return share_line(batch["done_images"], batch["images"], batch["state"])


def _begin(api: Api, arguments: Namespace) -> Any:
    source = {"s3_prefix": arguments.prefix, "s3_key": arguments.manifest}
    given = {name: value for name, value in source.items() if value is not None}
    return api.create("/batches", {**given, "parameters": parameters_of(arguments)})


def _one(api: Api, arguments: Namespace) -> Any:
    path = f"/batches/{arguments.id}"
    if arguments.stop:
        return api.ask("DELETE", path)
    return api.create(f"{path}/resume") if arguments.resume else api.get(path)


def _summary(batch: dict[str, Any]) -> str:
    rows = [
        ("batch", batch["id"]),
        ("state", line(batch)),
        ("answers", f"{batch['results']:,} in {batch['results_s3_prefix']} of the data bucket"),
        ("problems", f"{batch['problems']:,} in {batch['problems_s3_prefix']}"),
    ]
    return table([*rows, ("reason", batch["reason"])] if batch["reason"] else rows)
