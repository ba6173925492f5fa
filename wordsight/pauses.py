"""`pause` and `resume`: the endpoint goes, which is nearly all that a stage costs, and comes back as it was."""

from argparse import ArgumentParser, Namespace
from typing import Any

from contract.endpoint import OVER, Action
from wordsight.api import Api, CommandError
from wordsight.terminal import raw, watch


def add(parser: ArgumentParser) -> None:
    parser.add_argument("--no-wait", action="store_true", help="don't wait until it is done")


def pause(api: Api, arguments: Namespace) -> None:
    """Delete the endpoint. Raises CommandError if that failed."""
    _change(api, "pause", arguments)


def resume(api: Api, arguments: Namespace) -> None:
    """Bring the endpoint back with the version that was live. Raises CommandError if that failed."""
    _change(api, "resume", arguments)


def _change(api: Api, action: Action, arguments: Namespace) -> None:
    begun = api.create(f"/endpoint/{action}")
    if arguments.no_wait:
        print(raw(begun) if arguments.json else f"{action}: {begun['state']}")
        return
    found = watch(
        lambda: _look(api, begun),
        lambda found: f"{action}: {found['change']['reason'] or found['change']['state']}",
        lambda found: found["change"]["state"] in OVER,
    )
    print(raw(found) if arguments.json else said(found))
    if found["change"]["state"] == "failed":
        raise CommandError(f"the {action} failed: {found['change']['reason']}")


def said(found: dict[str, Any]) -> str:
    """How the endpoint is and what it costs, in a sentence."""
    served, price, paused = found["version"] or found["model_s3_uri"], found["usd_per_hour_in_service"], found["since"]
    if paused:
        cost = "" if price is None else f" It cost {price:.2f} USD per hour, and costs nothing but storage now."
        return f"paused since {paused}, {served} stays what comes back.{cost}"
    cost = "" if price is None else f", for {price:.2f} USD per hour"
    return f"{found['state']}: {served}{cost}"


def _look(api: Api, begun: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/endpoint")
    if found["change"]["id"] != begun["id"]:
        raise CommandError("another pause or resume was begun meanwhile: see GET /endpoint")
    return found
