"""What the two containers are told through environment variables: every name, default and allowed value, written once.

The stacks write an environment with `to_env`, the programs read it with `from_env`, and nothing else in `model/`
touches `os.environ`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator


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


class ContainerSettings(Settings):
    """What both programs of the image are told: SageMaker's folders, and the checkpoint baked into the image."""

    base_dir: Path = Field(Path("/opt/ml"), alias="SAGEMAKER_BASE_DIR")
    model_dir: Path = Field(
        default_factory=lambda known: Path(known["base_dir"]) / "model",
        alias="SM_MODEL_DIR",
        description="The model artifact: training leaves it here, the server serves it if it is a checkpoint",
    )
    base_model_dir: Path = Field(
        Path("/opt/wordsight/base"),
        alias="BASE_MODEL_DIR",
        description="Served when model_dir holds no checkpoint, and what fine-tuning starts from",
    )
    expect_gpu: bool = Field(False, alias="EXPECT_GPU", description="Fail instead of being silently slow without CUDA")


class ServeSettings(ContainerSettings):
    """What the inference server may be told beside that. The first name is SageMaker's, the others ours."""

    port: int = Field(8080, alias="SAGEMAKER_BIND_TO_PORT", ge=0, le=65535, description="0 takes any free port")
    bind_host: str = Field("0.0.0.0", alias="BIND_HOST")  # noqa: S104 - SageMaker calls from outside
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


# Training: where SageMaker mounts things, what may be set per run, and what a run prints.

METRIC_DEFINITIONS: dict[str, str] = {
    "train:loss": r" loss=(\S+)",
    "train:images_per_s": r" images_per_s=(\S+)",
    "train:logit_scale": r" logit_scale=(\S+)",
    "train:data_wait": r" data_wait=(\S+)",
    "validation:accuracy": r" validation_accuracy=(\S+)",
    "validation:loss": r" validation_loss=(\S+)",
}
"""Metric name to the regular expression that finds it in a log line: for a training job's MetricDefinitions.

A line is `step=10 loss=1.234 …`: the space before a name keeps `loss` apart from `validation_loss`.
"""


class TrainSettings(ContainerSettings):
    """Where training reads and writes beside that. The names are SageMaker's training toolkit's, which our image does
    not run: SageMaker itself only mounts the folders, so the defaults are where it does.
    """

    train_dir: Path = Field(
        default_factory=lambda known: Path(known["base_dir"]) / "input/data/train",
        alias="SM_CHANNEL_TRAIN",
        description="A dataset in any layout of model/data/readers.py",
    )
    base_channel_dir: Path | None = Field(
        None,
        alias="SM_CHANNEL_BASE",
        description="A checkpoint to fine-tune in place of the image's own; None: the base channel, if it is mounted",
    )
    pixels_dir: Path | None = Field(
        None,
        alias="PIXELS_DIR",
        description="Keep decoded images here for other runs and processes; None: until this process ends",
    )
    job_name: str | None = Field(None, alias="TRAINING_JOB_NAME", description="Becomes the model's version")

    @property
    def hyperparameters_file(self) -> Path:
        """Written by SageMaker: one JSON object of strings."""
        return self.base_dir / "input/config/hyperparameters.json"

    @property
    def resource_file(self) -> Path:
        """Written by SageMaker: the cluster's hosts and which of them this is."""
        return self.base_dir / "input/config/resourceconfig.json"

    @property
    def checkpoints_dir(self) -> Path:
        """Kept in S3 by SageMaker while the job runs and put back when it is restarted."""
        return self.base_dir / "checkpoints"

    @property
    def failure_file(self) -> Path:
        """Its text is shown as the job's FailureReason."""
        return self.base_dir / "output/failure"

    @property
    def tensorboard_dir(self) -> Path:
        """SageMaker's default for a training job's TensorBoardOutputConfig."""
        return self.base_dir / "output/tensorboard"

    @property
    def quarantine_file(self) -> Path:
        """The records that were left out, as JSON Lines."""
        return self.base_dir / "output/data/quarantine.jsonl"

    @property
    def start_dir(self) -> Path:
        """The checkpoint that fine-tuning starts from. A mounted channel that holds none is an error, and no reason to
        start from another.
        """
        if self.base_channel_dir is not None:
            return self.base_channel_dir
        mounted = self.base_dir / "input/data/base"
        return mounted if mounted.is_dir() else self.base_model_dir


class Hyperparameters(BaseModel):
    """What one training run may be told. SageMaker passes every value as a string."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Literal["channel", "world"] = Field("channel", description="The train channel, or the rendered world")
    init: Literal["base", "scratch"] = Field("base", description="Fine-tune a checkpoint, or start a small CLIP anew")
    epochs: int = Field(10, ge=1, le=10_000, description="Passes over the data, and at least 300 steps")
    steps: int | None = Field(None, ge=1, le=10_000_000, description="Optimiser steps, in place of `epochs`")
    batch_size: int = Field(64, ge=2, le=65_536, description="Images per step and process, as far as there are so many")
    chunk_size: int | None = Field(
        None, ge=1, description="Images in memory at a time; the loss still sees the whole batch. None: all"
    )
    captions_per_image: int = Field(2, ge=1, le=64, description="At most so many captions of an image in one step")
    loss: Literal["infonce", "sigmoid"] = Field("infonce", description="Compare texts, or ask of each pair if it fits")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Of the towers' arithmetic; auto: bf16 where a GPU has it, or a CPU is faster by it"
    )
    optimizer: Literal["adamw", "muon"] | None = Field(None, description="None: muon from scratch, else adamw")
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="None: 2e-3 from scratch, 5e-4 for a small base, 1e-5 from 50 M parameters on"
    )
    weight_decay: float = Field(0.05, ge=0, le=1, description="Of the layers' matrices")
    warmup_steps: int = Field(60, ge=0, description="Of linear rise to the learning rate; a quarter of the run at most")
    cooldown_share: float = Field(0.25, ge=0, le=1, description="The last share of the steps, decaying linearly to 0")
    ema_decay: float = Field(0.998, ge=0, lt=1, description="Of the averaged weights, which are what is exported")
    layer_decay: float = Field(1.0, gt=0, le=1, description="Of the learning rate, from each layer to the one below")
    lock_image: bool = Field(False, description="Leave the image tower as it is")
    lock_text: bool = Field(False, description="Leave the text tower as it is")
    unlocked_blocks: int = Field(0, ge=0, description="So many last layers of a locked tower learn all the same")
    lora_rank: int | None = Field(
        None, ge=1, le=256, description="Learn low-rank updates of the layers' matrices alone, merged at export"
    )
    max_grad_norm: float = Field(1.0, gt=0, description="Longer gradients are cut to this length")
    validation_share: float = Field(0.1, gt=0, lt=1, description="Kept back where the manifest names no split")
    max_unreadable_share: float = Field(0.01, ge=0, le=1, description="Of the images; beyond it the run stops")
    kept_pixels_bytes: int = Field(
        10_000_000_000, ge=0, description="Decoded images are kept on disk, if all fit into this; else decoded anew"
    )
    replay_share: float | None = Field(
        None, ge=0, le=0.9, description="Of a batch shows the rendered world; None: half if the base learnt from it"
    )
    distillation_weight: float | None = Field(
        None, ge=0, le=100, description="Of keeping the base's answers on new images; None: 1 where nothing is replayed"
    )
    max_forgetting: float = Field(
        0.02, ge=0, le=1, description="What publishing may cost the old tasks in the mean, in accuracy"
    )
    max_task_forgetting: float = Field(0.1, ge=0, le=1, description="And any one of them")
    world_images: int = Field(40_000, ge=64, description="How many different images of the world are trained on")
    seed: int = Field(0, ge=0, lt=2**32, description="Of first weights, order and choice of captions")
    threads: int = Field(default_factory=_half_the_vcpus, ge=1, description="CPU threads per process")
    selection_scenes: int = Field(
        2000, ge=100, description="Rendered images that forgetting is measured on; fewer leave more to doubt"
    )
    evaluation_scenes: int = Field(1000, ge=100, description="Rendered images that the result is measured on")
    log_every_steps: int = Field(10, ge=1, description="Steps between two lines of loss and throughput")
    evaluate_every_steps: int = Field(250, ge=1, description="Steps between two looks at validation images")
    checkpoint_every_s: float = Field(300, ge=0, description="Seconds of work a killed run may lose")
    resume_force: bool = Field(False, description="Go on from the states of a run with other hyperparameters or data")

    @property
    def muon(self) -> bool:
        """Whether the layers' matrices are stepped by Muon."""
        return (self.optimizer or ("muon" if self.init == "scratch" else "adamw")) == "muon"

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        locked = self.lock_image or self.lock_text
        for wrong, sentence in (
            (
                self.lock_image and self.lock_text and self.unlocked_blocks == 0,
                "lock_image and lock_text leave nothing to learn: lock one tower, or set unlocked_blocks",
            ),
            (self.unlocked_blocks and not locked, "unlocked_blocks is of locked towers: set lock_image or lock_text"),
            (locked and self.init == "scratch", "lock_image and lock_text keep what a base has learnt: set init=base"),
            (self.lora_rank and self.init == "scratch", "lora_rank adapts what a base has learnt: set init=base"),
            (self.lora_rank and self.muon, "lora_rank is for optimizer=adamw: Muon steps whole matrices"),
            (self.layer_decay < 1 and self.muon, "layer_decay is for optimizer=adamw: Muon's steps have one length"),
            (
                self.distillation_weight and (self.init == "scratch" or self.data == "world"),
                "distillation_weight keeps a base's answers on a channel's images: set init=base and data=channel",
            ),
        ):
            if wrong:
                raise ValueError(sentence)
        return self

    @classmethod
    def from_strings(cls, values: Mapping[str, str]) -> Self:
        """Parse hyperparameters.json. Raises SettingsError naming every bad one and what is allowed."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            faults = [cls._sentence(fault) for fault in error.errors(include_url=False)]
            raise SettingsError("; ".join(faults)) from None

    @classmethod
    def described(cls) -> str:
        """Every hyperparameter with its default and meaning, one per line."""
        defaults = cls().model_dump()
        lines = (f"  {name}={defaults[name]}".ljust(30) + (f.description or "") for name, f in cls.model_fields.items())
        return "\n".join(line.rstrip() for line in lines)

    @classmethod
    def _sentence(cls, fault: Mapping[str, object]) -> str:
        if fault["type"] == "extra_forbidden":
            location = fault["loc"]
            name = location[0] if isinstance(location, tuple) else location
            return f"{name!r} is no hyperparameter: allowed are {', '.join(cls.model_fields)}"
        if not fault["loc"]:
            return str(fault["msg"]).removeprefix("Value error, ")
        return f"hyperparameter {_sentence(fault)}"
