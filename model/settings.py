"""What the two containers are told through environment variables: every name, default and allowed value, written once.

The stacks write an environment with `to_env`, the programs read it with `from_env`, and nothing else in `model/`
touches `os.environ`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class SettingsError(ValueError):
    """An environment variable has a value that is not allowed. The text names the variable, the value and the rule."""


class Settings(BaseModel):
    """Values read from an environment. A field's alias is the variable's name."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables this class names; what is absent or empty takes its default.

        Raises SettingsError naming every bad variable.
        """
        names = [field.alias or name for name, field in cls.model_fields.items()]
        try:
            return cls.model_validate({name: environ[name] for name in names if environ.get(name)})
        except ValidationError as error:
            raise SettingsError("; ".join(_sentence(fault) for fault in error.errors(include_url=False))) from None

    def to_env(self) -> dict[str, str]:
        """The variables whose values were chosen, as strings: `from_env(x.to_env()) == x`. Defaults stay unwritten."""
        chosen = self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
        return {name: _text(value) for name, value in chosen.items()}


def _sentence(fault: Mapping[str, object]) -> str:
    location = fault["loc"]
    name = location[0] if isinstance(location, tuple) and location else "the settings"
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{name} is {fault['input']!r}: {message[0].lower()}{message[1:]}"


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _half_the_vcpus() -> int:
    return max(1, (os.cpu_count() or 2) // 2)


class ServeSettings(Settings):
    """What the inference server may be told. The first four names are SageMaker's, the others ours."""

    base_dir: Path = Field(Path("/opt/ml"), alias="SAGEMAKER_BASE_DIR")
    model_dir: Path = Field(
        default_factory=lambda known: Path(known["base_dir"]) / "model",
        alias="SM_MODEL_DIR",
        description="The checkpoint to serve, if this folder holds one",
    )
    port: int = Field(8080, alias="SAGEMAKER_BIND_TO_PORT", ge=0, le=65535, description="0 takes any free port")
    bind_host: str = Field("0.0.0.0", alias="BIND_HOST")  # noqa: S104 - SageMaker calls from outside
    base_model_dir: Path = Field(
        Path("/opt/wordsight/base"), alias="BASE_MODEL_DIR", description="Served when model_dir holds no checkpoint"
    )
    expect_gpu: bool = Field(
        False, alias="EXPECT_GPU", description="Be unhealthy instead of silently slow without CUDA"
    )
    run_as_user: str = Field("", alias="RUN_AS_USER", description="Whom to become, if root, before taking requests")
    model_threads: int = Field(
        default_factory=_half_the_vcpus,
        alias="MODEL_THREADS",
        ge=1,
        description="Threads of the model worker on a CPU; torch collapses when they outnumber the free cores",
    )
    decode_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        alias="DECODE_THREADS",
        ge=1,
        description="Threads that open images",
    )
    queue_limit: int = Field(
        32,
        alias="QUEUE_LIMIT",
        ge=1,
        description="Requests admitted and not yet answered; one more is refused with 429",
    )
    label_cache_rows: int = Field(
        50_000, alias="LABEL_CACHE_ROWS", ge=1, description="Prompts whose embeddings are kept; 2 kB each at width 512"
    )
