"""`models` and `promote`: which versions there are, and which of them is live."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

from contract.metrics import Metrics, Tasks, Validation
from contract.models import ENDED
from wordsight.api import UPLOAD_TIMEOUT_S, Api, CommandError, send
from wordsight.terminal import fields, raw, table, watch

_ON_THE_CARD = ("knows", "languages", "licence", "source", "parent", "training", "dataset", "created", "served_version")
"""Members of a version that the API may answer, in the order in which they are shown."""


def add_models(parser: ArgumentParser) -> None:
    parser.add_argument("version", nargs="?", help="one of them, on a card; with --json all of its figures")
    parser.add_argument(
        "--report",
        nargs="?",
        const="",
        metavar="FILE",
        help="keep what its training reports as a page, by default report-VERSION.html; with --json print it",
    )


def add_promote(parser: ArgumentParser) -> None:
    parser.add_argument("version", help="what is to go live; base is the model that the image came with")
    parser.add_argument("--force", action="store_true", help="even if the gate refused it")
    parser.add_argument("--no-wait", action="store_true", help="don't wait until it is live")


def models(api: Api, arguments: Namespace) -> None:
    """List them, or tell of one."""
    if arguments.report is not None:
        if arguments.version is None:
            raise CommandError("the report of which model? give its version")
        _keep_report(api, arguments)
        return
    if arguments.version is not None:
        found = api.get(_path(arguments.version))
        print(raw(found) if arguments.json else card(found))
        return
    listed = api.get("/models")
    if arguments.json:
        print(raw(listed))
        return
    print(table([("VERSION", "LIVE", "GATE", "PARENT", "SOURCE", "CREATED", "LICENCE"), *map(_row, listed["models"])]))
    if rolling_out := listed["rolling_out"]:
        print(f"{rolling_out['version']} is rolling out: {rolling_out['state']}")


def _keep_report(api: Api, arguments: Namespace) -> None:
    """The page as a file, which is whole by itself."""
    report = api.get(f"{_path(arguments.version)}/report")
    if arguments.json:
        print(raw(report))
        return
    path = Path(arguments.report or f"report-{arguments.version}.html")
    try:
        page = send(report["html_url"], None, {}, "GET", UPLOAD_TIMEOUT_S).content
    except HTTPError as error:
        raise CommandError(f"the bucket did not hand out the report: {error.code} {error.reason}") from None
    path.write_bytes(page)
    print(f"{report['verdict'] or report['outcome']}\n{path} has the report: open it in a browser")


def promote(api: Api, arguments: Namespace) -> None:
    """Promote a version. Raises CommandError if the promotion failed."""
    go_live(api, arguments.version, arguments, force=arguments.force, wait=not arguments.no_wait)


def go_live(api: Api, version: str, arguments: Namespace, *, force: bool = False, wait: bool = True) -> None:
    """Promote a version, and watch until it is live. Raises CommandError if the promotion failed."""
    path = _path(version)
    promotion = api.create(f"{path}/promote", {"force": force})
    if wait:
        promotion = watch(
            lambda: _newest(api, path, promotion),
            lambda found: f"{version}: {found['state']}",
            lambda found: found["state"] in ENDED,
        )
    print(raw(promotion) if arguments.json else f"{promotion['version']} is {promotion['state']}")
    if promotion["state"] == "failed":
        raise CommandError(f"{version} did not go live: {promotion['reason']}")


def card(model: dict[str, Any]) -> str:
    """What a person wants to know of a version: where it comes from, what it knows, how it was judged."""
    gate, promotion = model.get("gate"), model.get("promotion")
    said = {
        "version": model["version"],
        "live": model["live"],
        **{name: model.get(name) for name in _ON_THE_CARD},
        "gate": gate and ("passed" if gate["passed"] else f"refused: {'; '.join(gate['reasons'])}"),
        "promotion": promotion and ": ".join(filter(None, (promotion["state"], promotion["reason"]))),
        **_figures(Metrics.of(model.get("metrics") or {})),
        "checkpoint": model["artifact_s3_uri"],
    }
    return table(fields(said))


def _figures(metrics: Metrics) -> dict[str, object]:
    """The accuracies that tell most: on the images it was to learn, and at the tasks that it knew before."""
    before, after = metrics.before or Validation(), metrics.after or Validation()
    return {
        "steps": metrics.step,
        "accuracy": _change(before.validation_accuracy, after.validation_accuracy),
        "old tasks": _change(_mean(metrics.world_before), _mean(metrics.world)),
    }


def _mean(tasks: Tasks | None) -> float | None:
    known = [each.accuracy for each in (tasks or {}).values() if each.accuracy is not None]
    return sum(known) / len(known) if known else None


def _change(before: float | None, after: float | None) -> str | None:
    if after is None:
        return None
    return f"{after:.1%}" if before is None else f"{before:.1%} before, {after:.1%} now"


def _newest(api: Api, path: str, begun: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.get(path)["promotion"]
    if found["id"] != begun["id"]:
        raise CommandError(f"another promotion of {begun['version']} was begun meanwhile: see {path}")
    return found


def _row(model: dict[str, Any]) -> tuple[object, ...]:
    gate = model["gate"] and ("passed" if model["gate"]["passed"] else "refused")
    live = "live" if model["live"] else None
    licence = model.get("licence")
    return model["version"], live, gate, model["parent"], model["source"], model["created"] or None, licence


def _path(version: str) -> str:
    return f"/models/{quote(version, safe='')}"
