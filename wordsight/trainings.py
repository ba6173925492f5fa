"""`train` and `trainings`: teach the model, and see how that goes."""

import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any, get_args

from contract.annotations import DEFAULT_DATASET, Split
from contract.progress import PHASES_IN_WORDS
from contract.trainings import LIVE
from contract.verdict import percent
from wordsight.api import Api, CommandError
from wordsight.terminal import duration, raw, share_line, table, watch

SPLITS: tuple[Split, ...] = get_args(Split)
OVER = frozenset({"done", "refused", "failed", "stopped"})


def add_train(parser: ArgumentParser) -> None:
    parser.add_argument("--dataset", default=DEFAULT_DATASET, metavar="NAME")
    parser.add_argument(
        "--base", default=LIVE, metavar="VERSION", help="the model to start from, else the one that is live"
    )
    parser.add_argument(
        "--reference",
        metavar="S3_PREFIX",
        help="own images on which the base's answers are kept, such as collections/",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="a hyperparameter, such as epochs=5",
    )
    parser.add_argument("--promote", choices=("manual", "auto"), help="auto: it goes live if the gate lets it pass")
    parser.add_argument("--max-runtime-s", type=int, metavar="S")
    parser.add_argument("--max-spend-usd", type=float, metavar="USD")
    parser.add_argument("--spot", action="store_true", default=None, help="on spare capacity, which is cheaper")
    parser.add_argument("--force", action="store_true", default=None, help="even if the gate can't let it pass")
    then = parser.add_mutually_exclusive_group()
    then.add_argument("--dry-run", action="store_true", help="tell what it would find, take and cost; start nothing")
    then.add_argument("--watch", action="store_true", help="wait until it is over, and show how it goes")


def add_trainings(parser: ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", help="one of them; without it all are listed")
    parser.add_argument("--watch", action="store_true", help="wait until it is over, and show how it goes")
    parser.add_argument("--stop", action="store_true", help="end it; what it has saved is kept")


def train(api: Api, arguments: Namespace) -> None:
    """Start a training. With --watch, raises CommandError if it ends without a model that may be promoted, and with
    --dry-run if it would not be accepted.
    """
    asked = {
        "dataset": arguments.dataset,
        "base_version": arguments.base,
        "reference_s3_prefix": arguments.reference,
        "hyperparameters": dict(arguments.set),
        "promote": arguments.promote,
        "max_runtime_s": arguments.max_runtime_s,
        "max_spend_usd": arguments.max_spend_usd,
        "spot": arguments.spot,
        "force": arguments.force,
    }
    body = {name: value for name, value in asked.items() if value is not None}
    if not arguments.dry_run:
        _show(api, api.create("/trainings", body), arguments)
        return
    check = api.ask("POST", "/trainings", body, query={"dry_run": "true"})
    print(raw(check) if arguments.json else _checked(check))
    if not check["starts"]:
        raise CommandError("; ".join(check["missing"]))


def trainings(api: Api, arguments: Namespace) -> None:
    """List them, or tell of one."""
    if arguments.id is None:
        if arguments.stop or arguments.watch:
            raise CommandError("which training? give its id")
        listed = api.get("/trainings")
        rows = [(each["id"], each["state"], each["dataset"], each["version"]) for each in listed["trainings"]]
        print(raw(listed) if arguments.json else table([("ID", "STATE", "DATASET", "VERSION"), *rows]))
        return
    path = f"/trainings/{arguments.id}"
    _show(api, api.ask("DELETE", path) if arguments.stop else api.get(path), arguments)


def line(training: dict[str, Any]) -> str:
    """How far a training is: its phase, a bar of its steps while these are made, the accuracy, and the time left."""
    phase, state = training["phase"], training["state"]
    what = PHASES_IN_WORDS[phase] if phase else state
    if phase == "starting" and training["status"]:
        what += f" ({training['status']})"
    stepping = phase == "training" or state in OVER
    told = share_line(training["step"] or 0, training["steps"], what) if stepping and training["step"] else what
    left = training["left_s"]
    return "  ".join(filter(None, (told, _accuracy(training), None if left is None else f"{duration(left)} left")))


def _accuracy(training: dict[str, Any]) -> str:
    """On the validation images: before the first step, and as it is now."""
    asked = [point["accuracy"] for point in training["history"] if point["accuracy"] is not None]
    if not asked:
        return f"loss {training['metrics']['train:loss']:.4g}" if "train:loss" in training["metrics"] else ""
    before, now = percent(asked[0]), percent(asked[-1])
    return f"accuracy {before.removesuffix(' %')} → {now}" if len(asked) > 1 else f"accuracy {before}"


def _show(api: Api, training: dict[str, Any], arguments: Namespace) -> None:
    if arguments.watch:
        training = watch(lambda: api.get(f"/trainings/{training['id']}"), line, lambda found: found["state"] in OVER)
    failed = arguments.watch and training["state"] != "done"
    verdict = training["verdict"]
    print(
        raw(training) if arguments.json else "\n".join(filter(None, (_summary(training), None if failed else verdict)))
    )
    if failed:
        raise CommandError(f"the training {training['id']} is {training['state']}: {verdict or training['reason']}")


def _checked(check: dict[str, Any]) -> str:
    """Images by label and split, then what it takes and costs, then what is likely to go wrong."""
    splits = [split for split in SPLITS if split in check["images"]]
    found = [
        (f"{task}: {label}" if task else label, *(images.get(split, 0) for split in splits))
        for task, of_task in check["labels"].items()
        for label, images in of_task.items()
    ]
    images = [("IMAGES", *map(str.upper, splits)), *found, ("all", *(check["images"][split] for split in splits))]
    usd, max_usd = check["estimated_usd"], check["max_usd"]
    cost = None if usd is None else f"about {usd:.2f} USD, at most {max_usd:.2f}"
    reference = check["reference_images"]
    rows = [
        ("annotations", f"{check['records']:,}, counted {check['counted']:,}"),
        ("gate", f"{check['telling_images']} validation images can tell, {check['needed_images']} are needed"),
        ("base", check["base_version"]),
        *([] if reference is None else [("reference", f"{reference:,} images to keep its answers on")]),
        ("steps", f"{check['steps']:,} of {check['images_per_step']} images"),
        ("time", f"about {check['estimated_s']:,} s, at most {check['max_runtime_s']:,}"),
        ("cost", cost),
        ("estimate", check["estimate"]),
    ]
    return "\n\n".join([table(images), table(rows), *(f"warning: {each}" for each in check["warnings"])])


def _summary(training: dict[str, Any]) -> str:
    rows = [("training", training["id"]), ("version", training["version"]), ("state", line(training))]
    if training["estimated_s"] is not None and training["state"] not in OVER:
        usd = "" if training["estimated_usd"] is None else f", {training['estimated_usd']:.2f} USD"
        rows.append(("estimate", f"{training['steps']:,} steps, about {training['estimated_s']:,} s{usd}"))
    rows += (("warning", warning) for warning in training["warnings"])
    if training["promotion"]:
        rows.append(("promotion", training["promotion"]["state"]))
    if training["reason"] and not (training["gate"] and not training["gate"]["passed"]):  # which the verdict says
        rows.append(("reason", training["reason"]))
    return table(rows)


def _setting(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise ArgumentTypeError(f"{text!r} is no NAME=VALUE, such as epochs=5")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
