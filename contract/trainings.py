"""Trainings: what may be asked of one, and what is told of it."""

import json
from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from contract.annotations import DEFAULT_DATASET, LISTED_KEYS, Dataset
from contract.deferred import Deferred
from contract.hyperparameters import Hyperparameters
from contract.idempotency import ID
from contract.limits import MAX_FIELDS, MAX_REPORTED_TASKS
from contract.models import Gate, Promotion
from contract.problems import BadRequest, shorten
from contract.progress import HistoryPoint, Phase
from contract.reference import MAX_REFERENCE_IMAGES, REFERENCE_PREFIXES
from contract.sources import check_source
from contract.validation import AtMost, S3Key, Stored, Strict

TRAININGS_PREFIX = "trainings/"
"""Where in the data bucket requests are: one JSON document each."""
RUNNING_KEY = f"{TRAININGS_PREFIX}running.json"
"""Where beside them it says which trainings have a place among those that may run at once."""
SNAPSHOTS_PREFIX = "snapshots/"
"""Where in the data bucket each training's data is written down before it begins, for good."""
SNAPSHOT_LINES = "manifest.jsonl"
"""Of a snapshot: a line for each record, as the training program reads it."""
CHANNEL_MANIFEST = "channel.manifest"
"""Of a snapshot: which objects are the train channel, as SageMaker's ManifestFile."""
REFERENCE_MANIFEST = "reference.manifest"
"""Likewise, which objects are the reference channel, for a training that has one."""
OLD_LINES = "old.jsonl"
"""What was labelled before, as a dataset of its own, for a training whose base has learnt something or that has saved
tasks beside it.
"""
OLD_MANIFEST = "old.manifest"
"""Likewise, which objects are the channel of that."""
MAX_OLD_IMAGES = 1_000
"""That were labelled before, of all sets together: each is read by the base and by every mixture of weights."""
MAX_OLD_SETS = MAX_REPORTED_TASKS
"""Tasks on a dataset's images: of more no report would tell."""
TRAIN_CHANNEL = "train"
BASE_CHANNEL = "base"
REFERENCE_CHANNEL = "reference"
OLD_CHANNEL = "old"

STEP_METRIC = "train:step"
STEPS_METRIC = "train:steps"
"""What training jobs call how far they are."""
IMAGES_PER_S_METRIC = "train:images_per_s"

LIVE = "live"
"""Stands for the version that is served at the moment."""
MIN_RUNTIME_S = 600
"""Shorter runs end before the machine has loaded its data."""


class TrainingBody(Strict):
    """The JSON body of POST /trainings."""

    dataset: Dataset = Field(default=DEFAULT_DATASET, description="Of the annotations to learn from")
    base_version: str = Field(default=LIVE, description="The model to fine-tune: a version, or what is live now")
    reference_s3_prefix: S3Key | None = Field(
        default=None,
        description=f"Your own images, under {' or '.join(REFERENCE_PREFIXES)}, on which the base's answers are kept: "
        f"a sample of {MAX_REFERENCE_IMAGES:,} at most, of which nothing need be said. How many answers to some of "
        "them change all the same counts as an old task. Null: none",
    )
    hyperparameters: Annotated[dict[str, str | bool | int | float], AtMost(MAX_FIELDS)] = Field(
        default={}, description="Such as epochs; what is left out has a default that suits the base"
    )
    promote: Literal["manual", "auto"] = Field(
        default="manual", description="auto: goes live by itself if the gate lets it pass"
    )
    max_runtime_s: int | None = Field(default=None, ge=MIN_RUNTIME_S, description="Null: the stage's max_run_s")
    max_spend_usd: float | None = Field(
        default=None, gt=0, le=1_000_000, description="In place of it: as long as this pays for"
    )
    spot: bool | None = Field(default=None, description="On spare capacity, cheaper; null: as the stage does")
    force: bool = Field(default=False, description="Even if the gate can't let the model pass, whatever it learns")

    EXAMPLES: ClassVar = {
        "welds: Fine-tune what is live, and let it go live if it is better": {
            "dataset": "welds",
            "hyperparameters": {"epochs": 5},
            "promote": "auto",
        }
    }

    @property
    def hyperparameter_strings(self) -> dict[str, str]:
        """As SageMaker takes them."""
        given = self.hyperparameters.items()
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given}

    @model_validator(mode="after")
    def _allowed_and_limited_one_way(self) -> Self:
        asked = Hyperparameters.from_strings(self.hyperparameter_strings)
        if self.reference_s3_prefix is not None:
            check_source(self.reference_s3_prefix, REFERENCE_PREFIXES, "the images of a reference set")
            if asked.init == "scratch" or asked.data == "world":
                raise ValueError(
                    "reference_s3_prefix keeps a base's answers while a dataset is learnt: set init=base and "
                    "data=channel, or leave it out"
                )
        if self.max_runtime_s is not None and self.max_spend_usd is not None:
            raise ValueError("max_runtime_s and max_spend_usd are given together: give one of them")
        return self


class Training(Stored):
    """An accepted request, as it is stored and as the state machine gets it."""

    id: str
    created: str
    version: str = Field(description="What the model will be called: the training job's name")
    dataset: str
    base_version: str | None = Field(description="Null: what was live is no registered version")
    base_s3_uri: str
    reference_s3_prefix: str | None = Field(default=None, description="Where the reference set is taken from")
    hyperparameters: dict[str, str] = Field(default={})
    promote: Literal["manual", "auto"] = "manual"
    max_runtime_s: int
    spot: bool
    force: bool = Field(default=False, description="As it was asked for")
    images_per_step: int | None = Field(default=None, description="As planned, as is all that follows")
    planned_steps: int | None = Field(default=None, description="How many steps it will make")
    estimated_s: int | None = Field(default=None, description="Seconds of the machine's time")
    estimated_usd: float | None = Field(
        default=None, description="For these, at most max_runtime_s of them; null: the price is not known"
    )
    estimate: str | None = Field(default=None, description="What the estimate is made from")
    warnings: list[str] = Field(default=[], description="What is likely to make a poor model")


class Claim(Stored):
    """A training's place."""

    since: str
    usd: float = Field(description="What it was estimated to cost; 0 where that is not known")


class Claims(Stored):
    """Which trainings run, or are about to, by their ids."""

    running: dict[str, Claim] = Field(default={})


class TrainingCheck(Deferred):
    """The answer of POST /trainings?dry_run=true: what a training would find, take and cost. Nothing was started."""

    starts: bool = Field(description="Whether the same request without dry_run is accepted")
    missing: list[str] = Field(description="Why it is not, with what is missing in numbers")
    warnings: list[str] = Field(description="What is likely to make a poor model")
    dataset: str
    base_version: str | None = Field(description="Null: what is live is no registered version")
    records: int = Field(description=f"Annotations of the dataset; {LISTED_KEYS:,} stand for more")
    counted: int = Field(
        description="Images and labels are of so many of them: a fair sample where counting all would take too long"
    )
    images: dict[str, int] = Field(description="By split, as the training would assign them")
    labels: dict[str, dict[str, dict[str, int]]] = Field(
        description='Images by task, label and split; "" stands for no task'
    )
    reference_images: int | None = Field(
        default=None, description="So many the reference set has, as far as their names tell; null: there is none"
    )
    telling_images: int = Field(
        description="Validation images at which a model can be wrong: not all is true of them that is said of any"
    )
    needed_images: int = Field(description="So many of these the gate needs at least to tell a better model from luck")
    steps: int
    images_per_step: int = Field(description="Of all machines together")
    estimated_s: int = Field(description="Seconds of the machine's time")
    estimated_usd: float | None = Field(
        description="For these, at most max_runtime_s of them; null: the price is not known"
    )
    estimate: str = Field(description="What the estimate is made from")
    max_runtime_s: int
    max_usd: float | None = Field(description="For all of max_runtime_s")


TrainingState = Literal["queued", "snapshot", "training", "gating", "promoting", "done", "refused", "failed", "stopped"]


class TrainingView(Training):
    """A training as it is told of."""

    state: TrainingState
    status: str | None = Field(description="Of the training job, in SageMaker's words, such as Downloading")
    phase: Phase | None = Field(description="What goes on; null where nothing does")
    step: int | None = Field(description="The newest that the program has told, as are the metrics")
    steps: int | None = Field(description="As the program says; before it runs, as planned")
    left_s: int | None = Field(description="Seconds until the program ends, as far as it can tell; null: it can't yet")
    history: list[HistoryPoint] = Field(
        description="The curves, in the order of their steps; empty in a list of trainings, and after 30 days"
    )
    metrics: dict[str, float]
    gate: Gate | None = Field(description="The verdict on the model, once there is one")
    verdict: str | None = Field(description="The same in a sentence, with what was learnt and lost")
    promotion: Promotion | None = Field(description="Of its own making, with promote: auto")
    reason: str | None = Field(description="Why it was refused, failed or stopped")


class TrainingList(Deferred):
    """The answer of GET /trainings, the newest first."""

    trainings: list[TrainingView]
    next: str | None = Field(description="What to send as `after`; null at the end")


def training_key(id: str) -> str:
    """Where in the data bucket the request is. Raises BadRequest for what is no training's id."""
    if not ID.fullmatch(id):
        raise BadRequest(f"the training's id is {shorten(id)!r}, allowed: one that POST /trainings has answered")
    return f"{TRAININGS_PREFIX}{id}.json"


def training_ids(keys: Callable[[str], Iterable[str]]) -> list[str]:
    """The newest first. `keys`: what is stored under a prefix of the data bucket."""
    names = (key.removeprefix(TRAININGS_PREFIX).removesuffix(".json") for key in keys(TRAININGS_PREFIX))
    return sorted(filter(ID.fullmatch, names), reverse=True)


def channel_s3_uri(data_bucket: str, id: str, manifest: str = CHANNEL_MANIFEST) -> str:
    """Where the training's snapshot says which objects a channel is."""
    return f"s3://{data_bucket}/{SNAPSHOTS_PREFIX}{id}/{manifest}"


def channel(name: str, s3_uri: str, kind: Literal["ManifestFile", "S3Prefix"] = "ManifestFile") -> dict[str, Any]:
    """An input channel of a training job.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Channel.html
    """
    source = {"S3DataType": kind, "S3DataDistributionType": "FullyReplicated", "S3Uri": s3_uri}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


METRIC_DEFINITIONS: dict[str, str] = {
    STEP_METRIC: r"(?:^| )step=(\d+)",
    STEPS_METRIC: r" steps=(\d+)",
    "train:loss": r" loss=(\S+)",
    IMAGES_PER_S_METRIC: r" images_per_s=(\S+)",
    "train:logit_scale": r" logit_scale=(\S+)",
    "train:data_wait": r" data_wait=(\S+)",
    "validation:accuracy": r" validation_accuracy=(\S+)",
    "validation:loss": r" validation_loss=(\S+)",
}
"""Metric name to the regular expression that finds it in a log line: for a training job's MetricDefinitions.

A line is `step=10 loss=1.234 …`: the space before a name keeps `loss` apart from `validation_loss`.
"""
