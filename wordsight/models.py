"""`models` and `promote`: which versions there are, and which of them is live."""

from argparse import ArgumentParser, Namespace
from typing import Any
from urllib.parse import quote

from contract.models import ENDED
from wordsight.api import Api, CommandError
from wordsight.terminal import raw, table, watch


def add_models(parser: ArgumentParser) -> None:
    parser.add_argument("version", nargs="?", help="one of them, with all of its figures; without it all are listed")


def add_promote(parser: ArgumentParser) -> None:
    parser.add_argument("version", help="what is to go live; base is the model that the image came with")
    parser.add_argument("--force", action="store_true", help="even if the gate refused it")
    parser.add_argument("--no-wait", action="store_true", help="don't wait until it is live")


def models(api: Api, arguments: Namespace) -> None:
    """List them, or tell of one."""
    if arguments.version is not None:
        print(raw(api.get(_path(arguments.version))))
        return
    listed = api.get("/models")
    if arguments.json:
        print(raw(listed))
        return
    print(table([("VERSION", "LIVE", "GATE", "PARENT", "SOURCE", "CREATED"), *map(_row, listed["models"])]))
    if rolling_out := listed["rolling_out"]:
        print(f"{rolling_out['version']} is rolling out: {rolling_out['state']}")


def promote(api: Api, arguments: Namespace) -> None:
    """Promote a version. Raises CommandError if the promotion failed."""
    path = _path(arguments.version)
    promotion = api.create(f"{path}/promote", {"force": arguments.force})
    if not arguments.no_wait:
        promotion = watch(
            lambda: _newest(api, path, promotion),
            lambda found: f"{arguments.version}: {found['state']}",
            lambda found: found["state"] in ENDED,
        )
    print(raw(promotion) if arguments.json else f"{promotion['version']} is {promotion['state']}")
    if promotion["state"] == "failed":
        raise CommandError(f"{arguments.version} did not go live: {promotion['reason']}")


def _newest(api: Api, path: str, begun: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.get(path)["promotion"]
    if found["id"] != begun["id"]:
        raise CommandError(f"another promotion of {begun['version']} was begun meanwhile: see {path}")
    return found


def _row(model: dict[str, Any]) -> tuple[object, ...]:
    gate = model["gate"] and ("passed" if model["gate"]["passed"] else "refused")
    live = "live" if model["live"] else None
    return model["version"], live, gate, model["parent"], model["source"], model["created"] or None


def _path(version: str) -> str:
    return f"/models/{quote(version, safe='')}"
