"""What the two containers are told through environment variables."""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from contract.models import NO_MODEL_URI
from contract.settings import Settings

Precision = Literal["fp32", "bf16", "fp16", "int8"]


class ContainerSettings(Settings):
    """What both programs of the image are told: SageMaker's folders, and the checkpoint baked into the image."""

    base_dir: Path = Field(Path("/opt/ml"), alias="SAGEMAKER_BASE_DIR")
    model_dir: Path = Field(default_factory=lambda known: Path(known["base_dir"]) / "model", alias="SM_MODEL_DIR")
    """The model artifact: training leaves it here, the server serves it if it is a checkpoint."""
    base_model_dir: Path = Field(Path("/opt/wordsight/base"), alias="BASE_MODEL_DIR")
    """Served when model_dir holds no checkpoint, and what fine-tuning starts from."""
    expect_gpu: bool = Field(False, alias="EXPECT_GPU")
    """Fail instead of being silently slow without CUDA."""


def free_vcpus() -> int:
    """How many this process may run on. Where nobody can tell (macOS), all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ServeSettings(ContainerSettings):
    """What the inference server may be told beside that. The first name is SageMaker's, the others ours."""

    port: int = Field(8080, alias="SAGEMAKER_BIND_TO_PORT", ge=0, le=65535)
    """0 takes any free port."""
    bind_host: str = Field("0.0.0.0", alias="BIND_HOST")  # noqa: S104 - SageMaker calls from outside
    run_as_user: str = Field("", alias="RUN_AS_USER")
    """Whom to become, if root, before taking requests."""
    exact: bool = Field(False, alias="EXACT")
    """Answer what transformers does to 1e-4: in fp32, from images that are decoded and resized its way."""
    precision: Literal["auto", Precision] = Field("auto", alias="PRECISION")
    """Of the towers' arithmetic; auto: fp16 on a GPU, bf16 for a large model on a CPU that has it; int8 (such a CPU
    only) costs accuracy, and ends the server if it costs much."""
    model_workers: int | None = Field(None, alias="MODEL_WORKERS", ge=1)
    """Batches that are computed at a time; None: two on a GPU, else one per core, each with one thread."""
    decoders: int = Field(default_factory=free_vcpus, alias="DECODERS", ge=1)
    """Processes that open images of usual sizes, and threads that read requests."""
    queue_budget_ms: int = Field(500, alias="QUEUE_BUDGET_MS", ge=1)
    """A request that would have to wait longer for its turn is refused with 429."""
    max_bytes_in_flight: int = Field(68_000_000, alias="MAX_BYTES_IN_FLIGHT", ge=1)
    """Bodies kept in memory at a time; what would exceed that is refused with 429. Two of the largest lists, so that
    an image of 49 megapixels, which takes 200 MB, can be decoded beside them.
    """
    label_cache_rows: int = Field(50_000, alias="LABEL_CACHE_ROWS", ge=1)
    """Prompts whose embeddings are kept; 2 kB each at width 512."""
    head_cache_bytes: int = Field(64_000_000, alias="HEAD_CACHE_BYTES", ge=1)
    """Of the heads that are kept, which annotated images have taught; 10 labels at width 512 take 20 kB."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.exact and self.precision not in ("auto", "fp32"):
            raise ValueError(f"EXACT is 1 and PRECISION {self.precision!r}: exact is fp32, leave PRECISION out")
        return self


class FunctionSettings(ServeSettings):
    """What the serving function may be told: all that a server may, and its model."""

    model_s3_uri: str = Field(NO_MODEL_URI, alias="MODEL_S3_URI", pattern=r"^s3://[^/]+/")
    """The folder of a checkpoint, fetched when the function starts; NO_MODEL_URI for the one in the image."""
    runtime_api: str = Field("", alias="AWS_LAMBDA_RUNTIME_API")
    """Host and port where Lambda hands out invocations; it sets this itself."""


class TrainSettings(ContainerSettings):
    """Where training reads and writes beside that. The names are SageMaker's training toolkit's, which our image does
    not run: SageMaker itself only mounts the folders, so the defaults are where it does.
    """

    train_dir: Path = Field(
        default_factory=lambda known: Path(known["base_dir"]) / "input/data/train", alias="SM_CHANNEL_TRAIN"
    )
    """A dataset in any layout of model/data/readers.py."""
    base_channel_dir: Path | None = Field(None, alias="SM_CHANNEL_BASE")
    """A checkpoint to fine-tune in place of the image's own; None: the base channel, if it is mounted."""
    reference_channel_dir: Path | None = Field(None, alias="SM_CHANNEL_REFERENCE")
    """Images on which the base's answers are kept; None: the reference channel, if it is mounted."""
    old_channel_dir: Path | None = Field(None, alias="SM_CHANNEL_OLD")
    """Images that were labelled before, in any layout of model/data/readers.py; None: the old channel, if it is
    mounted."""
    pixels_dir: Path | None = Field(None, alias="PIXELS_DIR")
    """Keep decoded images here for other runs and processes; None: until this process ends."""
    job_name: str | None = Field(None, alias="TRAINING_JOB_NAME")
    """Becomes the model's version."""

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
        return self._mounted("base") or self.base_model_dir

    @property
    def reference_dir(self) -> Path | None:
        """A folder of images; None: there is none."""
        return self.reference_channel_dir or self._mounted("reference")

    @property
    def old_dir(self) -> Path | None:
        """A dataset on which what the base knows is asked again; None: there is none."""
        return self.old_channel_dir or self._mounted("old")

    def _mounted(self, channel: str) -> Path | None:
        directory = self.base_dir / "input/data" / channel
        return directory if directory.is_dir() else None
