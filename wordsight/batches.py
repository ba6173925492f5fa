"""`batch`: classify many images, of this machine or of the data bucket."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote

from contract.layouts.places import shown
from contract.limits import MAX_IMAGES
from contract.uploads import JSON_LINES
from wordsight.api import UPLOAD_TIMEOUT_S, Api, CommandError, send
from wordsight.bulk import ask_each
from wordsight.images import find_images, read_image
from wordsight.tasks import add_question, parameters_of
from wordsight.terminal import Progress, json_line, raw, share_line, table, watch

OVER = frozenset({"done", "failed", "stopped"})
UPLOADS_AT_ONCE = 8


def add(parser: ArgumentParser) -> None:
    what = "a folder whose images are sent and asked, or the id of a batch; without it all are listed"
    parser.add_argument("id", nargs="?", metavar="FOLDER|ID", help=what)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--prefix", metavar="S3_PREFIX", help="begin one: all images whose keys begin like this")
    source.add_argument("--manifest", metavar="S3_KEY", help='begin one: the images that its lines {"s3_key": …} name')
    add_question(parser)
    parser.add_argument("--watch", action="store_true", help="wait until it is over, and show how it goes")
    parser.add_argument("--no-wait", action="store_true", help="of a folder: only begin")
    parser.add_argument("--download", action="store_true", help="print the answers and problems as lines of JSON")
    parser.add_argument("--stop", action="store_true", help="end it; what is done is kept")
    parser.add_argument("--resume", action="store_true", help="go on with what is missing")


def run(api: Api, arguments: Namespace) -> None:
    """Begin a batch, list all, or tell of one, stop, resume or download it."""
    given = arguments.prefix is not None or arguments.manifest is not None
    folder = Path(arguments.id) if arguments.id is not None and Path(arguments.id).is_dir() else None
    if arguments.id is not None and given:
        raise CommandError("give a folder or the id of a batch, or --prefix or --manifest to begin one, not both")
    if folder and (arguments.stop or arguments.resume):
        raise CommandError(f"{folder} is a folder: --stop and --resume are for the id of a batch")
    if arguments.id is None and not given:
        if arguments.stop or arguments.resume or arguments.watch or arguments.download:
            raise CommandError("which batch? give its id")
        listed = api.get("/batches")
        rows = [(each["id"], each["state"], each["done_images"], each["images"]) for each in listed["batches"]]
        print(raw(listed) if arguments.json else table([("ID", "STATE", "DONE", "IMAGES"), *rows]))
        return
    unsent: list[str] = []
    if folder:
        batch = _send_folder(api, folder, arguments, unsent)
    else:
        batch = _begin(api, arguments) if given else _one(api, arguments)
    if arguments.watch or (folder and not arguments.no_wait) or (given and arguments.download):
        batch = watch(lambda: api.get(f"/batches/{batch['id']}"), line, lambda found: found["state"] in OVER)
    if arguments.download:
        if batch["state"] not in OVER:
            raise CommandError(f"the batch {batch['id']} is {batch['state']}: --watch waits until it is over")
        for each in _lines(api, batch["id"]):
            print(json_line(each))
    else:
        print(raw(batch) if arguments.json else _summary(batch))
    if batch["state"] in OVER - {"done"} and (arguments.watch or arguments.download or folder):
        raise CommandError(f"the batch {batch['id']} is {batch['state']}: {batch['reason']}")
    if unsent:
        raise CommandError(f"{len(unsent):,} images were not sent")


def line(batch: dict[str, Any]) -> str:
    """How far a batch is."""
    return share_line(batch["done_images"], batch["images"], batch["state"])


def _begin(api: Api, arguments: Namespace) -> Any:
    source = {"s3_prefix": arguments.prefix, "s3_key": arguments.manifest}
    given = {name: value for name, value in source.items() if value is not None}
    return api.create("/batches", {**given, "parameters": parameters_of(arguments)})


class _Sent(NamedTuple):
    """An image on its way: its path, and its key or why it has none."""

    path: str
    s3_key: str | None
    why: str | None


def _send_folder(api: Api, folder: Path, arguments: Namespace, unsent: list[str]) -> Any:
    """Send all images below a folder, then the lines that name them, and begin."""
    found = find_images([str(folder)])
    parameters = parameters_of(arguments)
    _check_question(api, found.paths, parameters)
    progress = Progress() if sys.stderr.isatty() else None
    named: list[str] = []
    for sent in _send_all(api, found.paths):
        if sent.why:
            unsent.append(sent.path)
            print(shown(f"{sent.path}: {sent.why}"), file=sys.stderr)
        else:
            named.append(json_line({"s3_key": sent.s3_key, "name": shown(sent.path)}))
        if progress:
            progress.show(share_line(len(named) + len(unsent), len(found.paths), "images sent"))
    if progress:
        progress.end()
    if not named:
        raise CommandError(f"no image of {folder} was sent")
    (form,) = api.create("/uploads", {"content_type": JSON_LINES})["uploads"]
    manifest = "\n".join(named).encode()
    if len(manifest) > form["max_bytes"]:
        raise CommandError(f"{len(named):,} images are too many for one manifest: make several folders of them")
    api.upload(manifest, form)
    return api.create("/batches", {"s3_key": form["s3_key"], "parameters": parameters})


def _send_all(api: Api, paths: list[str]) -> Iterator[_Sent]:
    def one(given: tuple[str, Any]) -> _Sent:
        path, form = given
        try:
            api.upload(read_image(path), form)
        except CommandError as error:
            return _Sent(path, None, str(error))
        return _Sent(path, form["s3_key"], None)

    threads = ThreadPoolExecutor(UPLOADS_AT_ONCE)
    try:
        for first in range(0, len(paths), MAX_IMAGES):
            some = paths[first : first + MAX_IMAGES]
            forms = api.create("/uploads", {"count": len(some)})["uploads"]
            yield from threads.map(one, zip(some, forms, strict=True))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _check_question(api: Api, paths: list[str], parameters: dict[str, Any]) -> None:
    """Ask it of one image, before all are sent. Raises CommandError if it is refused."""

    def ask(patient: Api, images: list[Any]) -> list[Any]:
        answers: list[Any] = patient.ask("POST", "/classify", {"inputs": images, "parameters": parameters})
        return answers

    for _ in ask_each(api, paths[:1], ask):
        """Its answer comes again with those of the others."""


def _one(api: Api, arguments: Namespace) -> Any:
    path = f"/batches/{quote(arguments.id, safe='')}"
    if arguments.stop:
        return api.ask("DELETE", path)
    return api.create(f"{path}/resume") if arguments.resume else api.get(path)


def _lines(api: Api, id: str) -> Iterator[dict[str, Any]]:
    """A line for every image that has an answer or a problem, as `classify --jsonl` prints them."""
    after = None
    while True:
        page = api.get(f"/batches/{id}/files", after=after)
        for url in page["results"]:
            for each in _read(url):
                yield {"path": each.get("name") or each["s3_key"], "answer": each["answer"]}
        for url in page["problems"]:
            for each in _read(url):
                yield {"path": each.get("name") or each["place"], "error": each["problem"]["detail"]}
        after = page["next"]
        if after is None:
            return


def _read(url: str) -> Iterator[dict[str, Any]]:
    try:
        content = send(url, None, {}, "GET", UPLOAD_TIMEOUT_S).content
    except HTTPError as error:
        raise CommandError(f"the data bucket did not hand out the answers: {error.code} {error.reason}") from None
    for written in content.splitlines():
        yield json.loads(written)


def _summary(batch: dict[str, Any]) -> str:
    rows = [
        ("batch", batch["id"]),
        ("state", line(batch)),
        ("answers", f"{batch['results']:,} in {batch['results_s3_prefix']} of the data bucket"),
        ("problems", f"{batch['problems']:,} in {batch['problems_s3_prefix']}"),
    ]
    if batch["state"] == "done":
        rows.append(("download", f"wordsight batch {batch['id']} --download > answers.jsonl"))
    return table([*rows, ("reason", batch["reason"])] if batch["reason"] else rows)
