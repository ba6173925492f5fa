"""What the deployed roles have called, in the templates' own names: tests/stacks/test_calls.py replays it.

    RECORD_CALLS=1 python -m pytest tests/e2e        # writes down what is new; without it, what is new fails

A call that no role ever makes again has to be taken out of the file by hand.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from contract.models import BROUGHT_PREFIX
from local.permissions import Decision
from tests.stacks.policies import CALLS, Call, load_calls, physical, without_stage

NAMED = ("S3::Bucket", "Lambda::Function", "StepFunctions::StateMachine", "Logs::LogGroup", "IAM::Role")
NAMED = (*(f"AWS::{type}" for type in NAMED), "AWS::CloudWatch::Alarm")
"""Types of resources that policies name."""

ROLE = re.compile("Wordsight([A-Za-z]+)-<stage>-(.+)-<…>")

PASSING = (
    (re.compile(rf"(arn:aws:s3:::[^/]+/(?:{BROUGHT_PREFIX}|[^/]+/)).+"), r"\1…"),
    (re.compile(r"(:training-job/wordsight-<stage>-).+"), r"\1…"),
    (re.compile(r"(:log-stream:wordsight-<stage>-).+"), r"\1…"),
    (re.compile(r"(:(?:model|endpoint-config)/[^-]+-).+"), r"\1…"),
    (re.compile(r"(:execution:[^:/]+)(/[^:]+)?:.+"), r"\1\2:…"),
    (re.compile(r"(:stack/[^/]+/).+"), r"\1…"),
    (re.compile(r"^([a-z]+/).+"), r"\1…"),
    (re.compile(r"(WordsightServing-<stage>-\w+-)[0-9A-F]{12,13}\b"), r"\1<…>"),
    (re.compile(r"/aws/cloudformation/WordsightServing-<stage>/(\w+)"), r"WordsightServing-<stage>-\1-<…>"),
)
"""Names that another run has not, also of what the serving stack had before it was moved to another tier: what is left
of them is as far as policies go."""


def calls_of(decisions: Iterable[Decision], cloudformation: Any, stage: str) -> set[Call]:
    """The decisions about the stage's roles, with names of templates for its resources, and without names that pass."""
    names = _names(cloudformation, stage)

    def plain(value: str) -> str:
        for name in sorted(names, key=len, reverse=True):
            value = value.replace(name, names[name])
        value = without_stage(value, stage)
        for pattern, short in PASSING:
            value = pattern.sub(short, value)
        return value

    return {
        Call(
            ROLE.sub(r"\1.\2", plain(each.role)),
            each.action,
            plain(each.resource),
            tuple((key, plain(str(value))) for key, value in each.context.items()),
        )
        for each in decisions
        if f"-{stage}-" in each.role
    }


def _names(cloudformation: Any, stage: str) -> Mapping[str, str]:
    """By physical name, the name in the template."""
    found = {}
    for part in ("Data", "Training", "Serving", "Api", "Operations"):
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=f"Wordsight{part}-{stage}")
        for each in (each for page in pages for each in page["StackResourceSummaries"]):
            if each["ResourceType"] in NAMED:
                id = each["PhysicalResourceId"]
                name = id.rpartition(":")[2] if id.startswith("arn:") else id
                if not re.match(f"wordsight-{stage}(-|$)", name):  # as the template calls it itself
                    found[name] = physical(part, each["LogicalResourceId"])
    return found


def check(calls: set[Call], recording: Path = CALLS) -> None:
    """Raises AssertionError if roles have made calls that are not on record; records them where that is asked for."""
    if os.environ.get("RECORD_CALLS"):
        with recording.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            known = load_calls(recording) if recording.stat().st_size else set()
            lines = [json.dumps(call.record, ensure_ascii=False) for call in sorted(known | calls)]
            file.truncate(0)
            file.write("\n".join(lines) + "\n")
        return
    new = sorted(calls - load_calls(recording))
    told = "\n".join(f"{call.role} {call.action} {call.resource} {dict(call.context)}" for call in new)
    assert not new, f"not in {recording.name}: RECORD_CALLS=1 python -m pytest tests/e2e writes them down\n{told}"
