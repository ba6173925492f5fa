"""The API keys of a stage: its own, and those that its operator makes for callers, each with a kind and a plan.

    python -m operate.keys dev create phone --kind ask --quota-per-day 10000 --rate-rps 5
    python -m operate.keys dev rotate phone
    python -m operate.keys dev revoke phone

A key's kind stands in its value (contract/keys.py). Each has a usage plan of its own: what it may ask is counted by
key. They belong to no stack, and are found by their tags: two stages of one account never see each other's.
"""

import argparse
import contextlib
import math
import re
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from botocore.exceptions import BotoCoreError, ClientError

from contract.keys import ASK_KEY_PREFIX, KeyKind
from contract.routes import ASK_ROUTES, STAGE_NAME
from operate.api import open_api
from operate.evidence import said
from operate.stage import OperatorError, Stage, add_stage_arguments, chosen_stage

NAME_TAG = "key"
"""Carries a key's name, on the key and on its plan. Those of the stacks have no such tag."""
KIND_TAG = "kind"
NAME = re.compile("[a-z0-9][a-z0-9-]{0,39}")
VALUE_BYTES = 32
PLAN_PAUSE_S, PLAN_ATTEMPTS = 20, 6
MANAGE_KEY_PREFIX = "manage-"
"""For whoever reads a key; what may manage is whatever is not ASK_KEY_PREFIX."""


@dataclass(frozen=True)
class Key:
    """One key, without its value."""

    id: str
    name: str
    kind: str
    created: datetime


@dataclass(frozen=True)
class Plan:
    """What the key of a name may ask. None: as often, or as fast, as the stage allows."""

    id: str
    name: str
    quota_per_day: int | None
    rate_rps: float | None
    stages: tuple[str, ...]
    """Of APIs, as <id>:<name>."""


class Keys:
    """Those that the operator of a stage has made. Every method raises ClientError for what AWS refuses."""

    def __init__(self, stage: Stage, sleep: Callable[[float], None] = time.sleep) -> None:
        self._stage = stage
        self._sleep = sleep
        self._client: Any = stage.connect("apigateway")

    def all(self) -> list[Key]:
        """The keys by name, the newest of each first."""
        found = [
            Key(each["id"], each["tags"][NAME_TAG], each["tags"].get(KIND_TAG, ""), each["createdDate"])
            for each in self._tagged("get_api_keys")
        ]
        return sorted(sorted(found, key=lambda key: key.created, reverse=True), key=lambda key: key.name)

    def plans(self) -> dict[str, Plan]:
        """The plans by their keys' name."""
        return {
            (name := each["tags"][NAME_TAG]): Plan(
                each["id"],
                name,
                each.get("quota", {}).get("limit"),
                each.get("throttle", {}).get("rateLimit"),
                tuple(f"{stage['apiId']}:{stage['stage']}" for stage in each.get("apiStages", [])),
            )
            for each in self._tagged("get_usage_plans")
        }

    def create(self, name: str, kind: KeyKind, quota_per_day: int | None, rate_rps: float | None) -> str:
        """A new key's value, which is told nowhere else. Raises OperatorError for a name that is taken, or none."""
        if not NAME.fullmatch(name):
            raise OperatorError(f"NAME is {name!r}, allowed are at most 40 lower-case letters, digits and hyphens")
        if "ApiKeyId" not in self._stage.outputs("Api"):
            raise OperatorError(f"{self._stage.config.stage} asks for no API key: see auth in stacks/config.py")
        if name in self.plans() or any(key.name == name for key in self.all()):
            raise OperatorError(
                f"there is a key {name!r} already: give another NAME, rotate it for a new value, or revoke it first"
            )
        (api_id,) = self._stage.physical_ids("Api", "AWS::ApiGateway::RestApi").values()
        limits: dict[str, Any] = {}
        if quota_per_day is not None:
            limits["quota"] = {"limit": quota_per_day, "period": "DAY"}
        if rate_rps is not None:
            limits["throttle"] = {"rateLimit": rate_rps, "burstLimit": max(1, math.ceil(rate_rps))}
        plan = self._client.create_usage_plan(
            name=self._physical_name(name),
            apiStages=[{"apiId": api_id, "stage": STAGE_NAME}],
            tags=self._tags(name, kind),
            **limits,
        )
        return self._new_value(name, kind, plan["id"])

    def rotate(self, name: str) -> str:
        """A new value for a key, of the same kind and plan. The old one is refused from now on: where callers can't be
        given the new one at once, create another key, let them change, and revoke the old one.

        Raises OperatorError where there is no such key.
        """
        old = self._named(name)
        kind, plan = old[0].kind, self.plans().get(name)
        if plan is None or kind not in get_args(KeyKind):
            raise OperatorError(f"the key {name!r} has no plan, or no kind: revoke it, and create it anew")
        value = self._new_value(name, kind, plan.id)
        for key in old:
            self._delete_key(key)
        return value

    def revoke(self, name: str) -> None:
        """A key goes, with its plan. Raises OperatorError where there is no such key."""
        plan = self.plans().get(name)
        for key in self._named(name, plan):
            self._delete_key(key)
        if plan:
            self._delete_plan(plan)

    def revoke_all(self) -> list[str]:
        """All of the stage's keys and plans go. Their names."""
        keys, plans = self.all(), self.plans()
        for key in keys:
            self._delete_key(key)
        for plan in plans.values():
            self._delete_plan(plan)
        return sorted({*plans, *(key.name for key in keys)})

    def _named(self, name: str, plan: Plan | None = None) -> list[Key]:
        """Several where a rotation was cut off, none where a creation was."""
        keys = self.all()
        found = [key for key in keys if key.name == name]
        if not found and plan is None:
            names = ", ".join(sorted({key.name for key in keys})) or "none"
            raise OperatorError(f"there is no key {name!r}, there are: {names}")
        return found

    def _new_value(self, name: str, kind: str, plan_id: str) -> str:
        prefix = ASK_KEY_PREFIX if kind == "ask" else MANAGE_KEY_PREFIX
        value = prefix + secrets.token_hex(VALUE_BYTES)
        of_key = {"name": self._physical_name(name), "value": value, "enabled": True, "tags": self._tags(name, kind)}
        key = self._client.create_api_key(**of_key)
        self._client.create_usage_plan_key(usagePlanId=plan_id, keyId=key["id"], keyType="API_KEY")
        return value

    def _delete_key(self, key: Key) -> None:
        self._unless_gone(self._client.delete_api_key, apiKey=key.id)

    def _delete_plan(self, plan: Plan) -> None:
        """API Gateway deletes no plan that an API's stage is associated with.

        https://docs.aws.amazon.com/apigateway/latest/api/API_DeleteUsagePlan.html
        """
        if plan.stages:
            leave = [{"op": "remove", "path": "/apiStages", "value": each} for each in plan.stages]
            self._patiently(self._client.update_usage_plan, usagePlanId=plan.id, patchOperations=leave)
        self._unless_gone(self._client.delete_usage_plan, usagePlanId=plan.id)

    def _patiently(self, change: Any, **of: Any) -> None:
        """An account may change one usage plan every 20 seconds.

        https://docs.aws.amazon.com/general/latest/gr/apigateway.html
        """
        for _ in range(PLAN_ATTEMPTS - 1):
            try:
                return self._unless_gone(change, **of)
            except self._client.exceptions.TooManyRequestsException:
                self._sleep(PLAN_PAUSE_S)
        return self._unless_gone(change, **of)

    def _unless_gone(self, change: Any, **of: Any) -> None:
        with contextlib.suppress(self._client.exceptions.NotFoundException):
            change(**of)

    def _tagged(self, operation: str) -> list[dict[str, Any]]:
        """Those with the stage's tags and a name."""
        wanted = self._stage.config.tags.items()
        pages = self._client.get_paginator(operation).paginate(PaginationConfig={"PageSize": 500})
        found = [each for page in pages for each in page["items"]]
        return [each for each in found if NAME_TAG in each.get("tags", {}) and wanted <= each["tags"].items()]

    def _tags(self, name: str, kind: str) -> dict[str, str]:
        return {**self._stage.config.tags, NAME_TAG: name, KIND_TAG: kind}

    def _physical_name(self, name: str) -> str:
        return f"{self._stage.config.name}-{name}"


def written(keys: Keys) -> str:
    """A table of the keys: what `list` prints."""
    rows = [("NAME", "KIND", "CREATED", "PER DAY", "PER SECOND")]
    plans = keys.plans()
    for key in keys.all():
        plan = plans.get(key.name)
        quota = plan.quota_per_day if plan else None
        rate_rps = plan.rate_rps if plan else None
        most = ("-" if quota is None else f"{quota:,}", "-" if rate_rps is None else f"{rate_rps:g}")
        rows.append((key.name, key.kind, f"{key.created:%Y-%m-%d}", *most))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines if len(rows) > 1 else ["there is none but the stage's own: make api-key"])


def _number(least: float, kind: type) -> Any:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= 10**9:
            raise argparse.ArgumentTypeError(f"{text!r}, allowed is a number from {least:g}")
        return value

    return read


def parser() -> argparse.ArgumentParser:
    """The command line with all of its commands."""
    made = argparse.ArgumentParser(prog="python -m operate.keys", description="The API keys of a stage.")
    add_stage_arguments(made)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("own", help="print the stage's own key, which may manage")
    commands.add_parser("list", help="the keys that were made for callers, without their values")
    create = commands.add_parser("create", help="make a key, and print its value, which is told only now")
    rotate = commands.add_parser("rotate", help="print a new value for a key: the old one is refused from now on")
    revoke = commands.add_parser("revoke", help="remove a key: it is refused from now on")
    for each in (create, rotate, revoke):
        each.add_argument("name", metavar="NAME", help="whose it is, such as phone")
    asks = ", ".join(route.name for route in ASK_ROUTES)
    create.add_argument("--kind", choices=get_args(KeyKind), required=True, help=f"ask: {asks}. manage: everything")
    create.add_argument("--quota-per-day", type=_number(1, int), metavar="N", help="else none")
    create.add_argument("--rate-rps", type=_number(0.1, float), metavar="N", help="else the stage's")
    return made


def run(stage: Stage, chosen: argparse.Namespace) -> str:
    """What a command prints. Raises OperatorError and ClientError."""
    if chosen.command == "own":
        if not (key := open_api(stage).key):
            raise OperatorError(f"{stage.config.stage} asks for no API key: see auth in stacks/config.py")
        return key
    keys = Keys(stage)
    if chosen.command == "list":
        return written(keys)
    if chosen.command == "create":
        return keys.create(chosen.name, chosen.kind, chosen.quota_per_day, chosen.rate_rps)
    if chosen.command == "rotate":
        return keys.rotate(chosen.name)
    keys.revoke(chosen.name)
    return f"{chosen.name} is revoked"


def main(argv: Sequence[str]) -> int:
    chosen = parser().parse_args(argv)
    try:
        print(run(chosen_stage(chosen), chosen))
    except OperatorError as error:
        print(error, file=sys.stderr)
        return 1
    except (ClientError, BotoCoreError) as error:
        print(said(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
