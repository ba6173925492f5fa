"""`models add`: bring along a CLIP, from a folder of this machine or from a hub."""

import re
import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from contract.checkpoints import CheckpointMetadata, Folder, check_checkpoint
from contract.forms import write_form
from contract.problems import BadRequest
from contract.uploads import MAX_CHECKPOINT_FILE_BYTES, is_checkpoint_file
from wordsight.api import UPLOAD_TIMEOUT_S, Api, CommandError, send
from wordsight.hub import Hub, ModelId, without_safetensors
from wordsight.models import card, go_live
from wordsight.terminal import Progress, raw, share_line

_SENT_BYTES = 1 << 20
_NOT_IN_A_VERSION = re.compile(r"[^A-Za-z0-9._-]+")
_MB = 1_000_000
_HERE = b"the-file"


def add(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source", help="a checkpoint's folder, or a model of the hub such as openai/clip-vit-base-patch32"
    )
    parser.add_argument("--version", metavar="NAME", help="what it will be called, else after its source")
    parser.add_argument("--parent", metavar="VERSION", help="the version that it was made from")
    parser.add_argument("--promote", action="store_true", help="and let it go live")


def run(api: Api, arguments: Namespace) -> None:
    """Send a checkpoint and register it. Raises CommandError with what is wrong with it, before much is sent."""
    given = Path(arguments.source).expanduser()
    if given.is_dir():
        version = arguments.version or _version(given.resolve().name)
        model = _register(api, given, version, arguments)
    elif model_id := ModelId.of(arguments.source):
        version = arguments.version or _version(model_id.id.partition("/")[2])
        model = _from_the_hub(api, model_id, version, arguments)
    else:
        raise CommandError(
            f"{arguments.source} is no folder, and no model of a hub: such as openai/clip-vit-base-patch32, with a "
            "revision if you like: openai/clip-vit-base-patch32@main"
        )
    if arguments.promote:
        go_live(api, version, arguments)
    elif arguments.json:
        print(raw(model))
    else:
        print(f"{card(model)}\n\nTo let it go live: wordsight promote {version}")


def _from_the_hub(api: Api, model_id: ModelId, version: str, arguments: Namespace) -> Any:
    """What is downloaded is kept until the version is registered, so that a second try need not fetch it again."""
    hub = Hub(arguments.variables)
    revision = hub.find(model_id)
    cache = Path(arguments.variables.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wordsight"
    folder = cache / f"{model_id.id.replace('/', '--')}--{revision.commit}"
    progress = Progress()
    hub.download(revision, folder, lambda *of: _show(progress, "fetch", *of))
    progress.end()
    model = _register(api, folder, version, arguments)
    shutil.rmtree(folder)
    return model


def _register(api: Api, folder: Path, version: str, arguments: Namespace) -> Any:
    files = sent_of(folder)
    checked(files, str(folder))
    sizes = files.sizes_bytes()
    forms = api.create("/models/uploads", {"files": sorted(sizes, key=lambda name: (sizes[name], name))})
    progress = Progress()
    for form in forms["uploads"]:
        _send(folder / form["name"], form, progress)
    progress.end()
    body = {"s3_uri": forms["s3_uri"], "version": version, "parent": arguments.parent}
    return api.create("/models", {name: value for name, value in body.items() if value is not None})


def sent_of(folder: Path) -> Folder:
    """A checkpoint's files on this machine, of those that are sent."""
    return Folder(folder, is_checkpoint_file)


def checked(files: Folder, where: str) -> CheckpointMetadata | None:
    """What POST /models would say of the checkpoint, before it is sent. Raises CommandError."""
    sizes = files.sizes_bytes()
    if not any(name.endswith(".safetensors") for name in sizes):
        raise CommandError(without_safetensors(where, {each.name for each in Path(where).iterdir()}))
    if large := [name for name, size in sizes.items() if size > MAX_CHECKPOINT_FILE_BYTES]:
        raise CommandError(
            f"{large[0]} has {sizes[large[0]]:,} bytes, at most {MAX_CHECKPOINT_FILE_BYTES:,} are taken: save the "
            'weights in several files (save_pretrained(…, max_shard_size="4GB")) or in half precision'
        )
    try:
        return check_checkpoint(files, where).metadata
    except BadRequest as problem:
        raise CommandError(problem.detail) from None


def _send(path: Path, form: Mapping[str, Any], progress: Progress) -> None:
    """Stream a file by its form. Raises CommandError if the bucket does not take it."""
    media_type, content = write_form(form["fields"], [("file", _HERE)])
    before, _, behind = content.rpartition(_HERE)
    total = path.stat().st_size

    def parts() -> Iterator[bytes]:
        yield before
        done = 0
        with path.open("rb") as file:
            while read := file.read(_SENT_BYTES):
                done += len(read)
                _show(progress, "send", path.name, done, total)
                yield read
        yield behind

    headers = {"content-type": media_type, "content-length": str(len(before) + total + len(behind))}
    try:
        send(form["url"], parts(), headers, "POST", UPLOAD_TIMEOUT_S)
    except HTTPError as error:
        raise CommandError(f"the artifacts bucket did not take {path.name}: {error.code} {error.reason}") from None


def _show(progress: Progress, what: str, name: str, done: int, total: int) -> None:
    how_far = progress.on_terminal and total >= _MB
    progress.show(f"{share_line(done // _MB, total // _MB, 'MB')}  {what} {name}" if how_far else f"{what} {name}")


def _version(name: str) -> str:
    """A version called like the source, as far as its letters are allowed. Raises CommandError if none is."""
    version = _NOT_IN_A_VERSION.sub("-", name).strip("-_.").replace("_", "-")[:63].rstrip("-")
    if not version:
        raise CommandError(f"no version can be called {name!r}: give a name by --version")
    return version
