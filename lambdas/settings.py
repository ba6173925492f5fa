"""The environment of the Lambdas: every name written once, read once, never looked up elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

ORIGIN = re.compile(r"\*|https?://[^/\s,*]+")
"""What `cors_origins` may hold: every origin, or one by its scheme, host and port."""


class SettingsError(Exception):
    """A Lambda's environment is incomplete or wrong; the message names every fault."""


def _variable(
    name: str, pattern: str | re.Pattern[str], allowed: str, read: Callable[[str], Any] = str, **default: Any
) -> Any:
    """A setting that travels as the environment variable `name`, as text that matches `pattern` and is read by `read`.

    One whose default is a tuple may be absent; its items are separated by commas, and each matches `pattern`.
    """
    about = {"name": name, "pattern": re.compile(pattern), "allowed": allowed, "read": read}
    return field(metadata=about, **default)


# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET_NAME = (r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of an S3 bucket")
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
_ENDPOINT_NAME = (r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", "letters, digits and hyphens, at most 63")
_STACK_NAME = (r"[a-zA-Z][-a-zA-Z0-9]{0,127}", "the name of a CloudFormation stack")
_MACHINE_ARN = (r"arn:[^:]+:states:[^:]+:\d{12}:stateMachine:.+", "the ARN of a state machine")
_SECONDS = (r"[1-9]\d{0,8}", "whole seconds", int)


@dataclass(frozen=True, kw_only=True)
class Variables:
    """What a function needs to know, as its environment variables.

    Built directly, by the stack that writes it, nothing is checked: names are still CDK tokens there.
    """

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read what `to_env` wrote.

        Raises SettingsError naming every variable that is missing or malformed, its value and what is allowed.
        """
        faults: list[str] = []
        values: dict[str, Any] = {}
        for each in fields(cls):
            text = environ.get(each.metadata["name"], "")
            several = isinstance(each.default, tuple)
            items = tuple(part.strip() for part in text.split(",") if part.strip()) if several else (text,)
            faults += _faults(items, each.metadata)
            values[each.name] = items if several else text
        if faults:
            raise SettingsError("; ".join(faults))
        read = {each.name: each.metadata["read"] for each in fields(cls)}
        return cls(**{name: value if isinstance(value, tuple) else read[name](value) for name, value in values.items()})

    def to_env(self) -> dict[str, str]:
        """The function's environment variables, by name."""
        values = {each.metadata["name"]: getattr(self, each.name) for each in fields(self)}
        return {name: ",".join(value) if isinstance(value, tuple) else str(value) for name, value in values.items()}


@dataclass(frozen=True, kw_only=True)
class Settings(Variables):
    """What every function of the API needs to know."""

    cors_origins: tuple[str, ...] = _variable(  # none: no other site may call the API from a browser
        "CORS_ORIGINS", ORIGIN, "* or origins such as https://example.com, no path", default=()
    )


@dataclass(frozen=True, kw_only=True)
class ApiSettings(Settings):
    """What the functions need to know that classify and annotate: the model's endpoint and the stored things."""

    endpoint_name: str = _variable("ENDPOINT_NAME", *_ENDPOINT_NAME)
    data_bucket: str = _variable("DATA_BUCKET", *_BUCKET_NAME)


@dataclass(frozen=True, kw_only=True)
class AnnotateSettings(ApiSettings):
    """What the function needs to know that keeps annotations: also the machine that imports many."""

    import_machine_arn: str = _variable("IMPORT_MACHINE_ARN", *_MACHINE_ARN)


@dataclass(frozen=True, kw_only=True)
class ImporterSettings(Variables):
    """What the worker of imports needs to know."""

    endpoint_name: str = _variable("ENDPOINT_NAME", *_ENDPOINT_NAME)
    data_bucket: str = _variable("DATA_BUCKET", *_BUCKET_NAME)


@dataclass(frozen=True, kw_only=True)
class BatchSettings(Variables):
    """What the worker of batches needs to know."""

    endpoint_name: str = _variable("ENDPOINT_NAME", *_ENDPOINT_NAME)
    data_bucket: str = _variable("DATA_BUCKET", *_BUCKET_NAME)


@dataclass(frozen=True, kw_only=True)
class ServedModel(Variables):
    """What every function needs to know that has to do with models: where they are, and which stack serves one."""

    artifacts_bucket: str = _variable("ARTIFACTS_BUCKET", *_BUCKET_NAME)
    serving_stack: str = _variable("SERVING_STACK", *_STACK_NAME)


@dataclass(frozen=True, kw_only=True)
class TrainSettings(Settings, ServedModel):
    """What the function needs to know that starts trainings, promotions and batches: their machines, and limits."""

    data_bucket: str = _variable("DATA_BUCKET", *_BUCKET_NAME)
    training_machine_arn: str = _variable("TRAINING_MACHINE_ARN", *_MACHINE_ARN)
    promotion_machine_arn: str = _variable("PROMOTION_MACHINE_ARN", *_MACHINE_ARN)
    batch_machine_arn: str = _variable("BATCH_MACHINE_ARN", *_MACHINE_ARN)
    job_name_prefix: str = _variable("JOB_NAME_PREFIX", r"[a-z][a-z0-9-]{1,40}-", "what all jobs are called first")
    max_run_s: int = _variable("MAX_RUN_S", *_SECONDS)
    max_wait_s: int = _variable("MAX_WAIT_S", *_SECONDS)
    spot: bool = _variable("SPOT", "True|False", "True or False", "True".__eq__)
    usd_per_hour: float = _variable(
        "USD_PER_HOUR", r"\d+(\.\d+)?", "what a training's machines cost, 0 if that is not known", float
    )


@dataclass(frozen=True, kw_only=True)
class SnapshotSettings(Variables):
    """What the function needs to know that writes down what a training learns from."""

    data_bucket: str = _variable("DATA_BUCKET", *_BUCKET_NAME)


@dataclass(frozen=True, kw_only=True)
class GateSettings(ServedModel):
    """What the function needs to know that judges and registers models."""

    git_revision: str = _variable("GIT_REVISION", r"[0-9a-f]{40}(-dirty)?|unknown", "a commit, or unknown")


@dataclass(frozen=True, kw_only=True)
class RolloutSettings(ServedModel):
    """What the function needs to know that takes the steps of a promotion."""

    endpoint_name: str = _variable("ENDPOINT_NAME", *_ENDPOINT_NAME)


def _faults(items: tuple[str, ...], variable: Mapping[str, Any]) -> Iterator[str]:
    name, allowed = variable["name"], variable["allowed"]
    for item in items:
        if not item:
            yield f"the environment variable {name} is missing or empty: set it to {allowed}"
        elif not variable["pattern"].fullmatch(item):
            yield f"the environment variable {name} is {item!r}, allowed is {allowed}"
