"""What a finished training reports of itself: report.json beside its checkpoint, of which report.html is made."""

from typing import Literal

from pydantic import Field, JsonValue

from contract.deferred import Deferred
from contract.models import Gate
from contract.progress import MAX_HISTORY_POINTS, HistoryPoint
from contract.validation import Stored

REPORT = "report.json"
REPORT_PAGE = "report.html"
MAX_REPORT_BYTES = 1_500_000
"""Of each of the two."""
REPORT_EXPIRES_IN_S = 900
"""How long an address of the page is good for."""

MAX_MISTAKES = 24
MAX_CONFUSED_LABELS = 20
MAX_REPORTED_CHARS = 100
"""Of a label, a sentence or a name; the rest is cut off."""


TaskKind = Literal["new", "old", "labelled"]


class ReportedTask(Deferred):
    """A classification task before and after. `low` and `high`: the 95 % interval of the change in accuracy."""

    name: str
    kind: TaskKind = Field(
        description="Of the images that were learnt from, of the rendered world, or of images that were labelled before"
    )
    images: int | None = Field(default=None, description="On so many it was measured")
    chance: float | None = Field(default=None, description="What guessing gets")
    before: float | None = Field(default=None, description="The base's accuracy")
    after: float | None = Field(default=None, description="The model's accuracy")
    low: float | None = Field(default=None, description="The change is likely to be more than this")
    high: float | None = Field(default=None, description="The change is likely to be less than this")
    taught_images: int | None = Field(default=None, description="Images of the training that heads were fitted to")
    taught_before: float | None = Field(default=None, description="The base's accuracy with a head, without a training")
    taught_after: float | None = Field(default=None, description="The model's accuracy with a head")
    no_limit: str | None = Field(
        default=None, description="Why the limits of forgetting do not hold for it; null: they do, or it is new"
    )


class Confusion(Deferred):
    """Which labels are taken for which others."""

    task: str = Field(description="Its name")
    labels: list[str] = Field(description="Those that are confused most, in their order")
    counts: list[list[int]] = Field(description="Images by true label, then by the label that was said")
    left_out: int = Field(default=0, description="So many labels more there are")


class CalibrationBin(Deferred):
    """Answers that were about as sure, from 0 to 1."""

    images: int = Field(description="So many answers")
    confidence: float = Field(description="How sure they were in the mean")
    accuracy: float = Field(description="How many were right")


class Mistake(Deferred):
    """An image of which something else is true than what was said."""

    image: str = Field(description="Its name in the dataset")
    task: str = Field(description='Its name; "" where sentences were compared')
    said: str = Field(description="The best label or sentence")
    score: float = Field(description="How sure the model was of it, from 0 to 1")
    truth: str = Field(description="The right one")
    truth_score: float = Field(description="How sure it was of that")
    thumbnail: str = Field(description="A small JPEG in base64")


class Mixture(Deferred):
    """Weights between the base's and the fine-tuned ones, of which one is published. Drops are of accuracy at the old
    tasks; `at_most` is the upper end of a one-sided 95 % interval, for which the limits hold.
    """

    alpha: float = Field(description="Share of the fine-tuned weights")
    published: bool = Field(description="Whether it was chosen")
    accuracy: float = Field(description="On the new validation images")
    mean_drop: float | None = Field(default=None, description="In the mean over the old tasks")
    mean_drop_at_most: float | None = Field(default=None, description="What that may be")
    worst_drop: float | None = Field(default=None, description="At the task that lost most")
    worst_drop_at_most: float | None = Field(default=None, description="What that may be")
    worst_task: str | None = Field(default=None, description="Which one that is")


class ReportedReference(Deferred):
    """What a model answers to those images of a reference set that were kept back from training."""

    images: int = Field(description="So many")
    agreement: float = Field(description="Share of the answers to these that are its base's")
    agreement_at_least: float | None = Field(default=None, description="Lower end of a one-sided 95 % interval")


class Report(Stored):
    """Of one training. What was not measured is null or empty."""

    version: str
    created: str
    parent: str | None = None
    outcome: str = Field(description="What was learnt and lost, in a sentence")
    strategy: str | None = Field(default=None, description="What was trained and why, where the run was to choose")
    choice: str | None = Field(default=None, description="Which mixture of weights is published and why, in a sentence")
    accuracy_before: float | None = Field(default=None, description="The base's on the validation images")
    accuracy_after: float | None = Field(default=None, description="The model's on the validation images")
    validation_images: int | None = Field(default=None, description="So many they are")
    won: int | None = Field(default=None, description="Of these, so many only the model gets right")
    lost: int | None = Field(default=None, description="And so many only its base")
    history: list[HistoryPoint] = Field(default=[], max_length=MAX_HISTORY_POINTS, description="The curves")
    tasks: list[ReportedTask] = Field(
        default=[], description="The new tasks, the old ones, then what was labelled before"
    )
    reported_on: Literal["validation", "test"] | None = Field(
        default=None, description="On which images the new tasks, confusions and mistakes are"
    )
    confusions: list[Confusion] = Field(default=[], description="One for each new task")
    calibration: list[CalibrationBin] = Field(default=[], description="Of the answers to the new tasks")
    mean_drop: float | None = Field(default=None, description="What the old tasks lost in the mean, in accuracy")
    worst_drop: float | None = Field(default=None, description="And what one lost at most")
    worst_task: str | None = Field(default=None, description="Which one that is")
    max_forgetting: float | None = Field(default=None, description="What the mean may be")
    max_task_forgetting: float | None = Field(default=None, description="And what one may lose")
    reference: ReportedReference | None = Field(default=None, description="Counts as an old task; null: there was none")
    alpha: float | None = Field(default=None, description="Share of the fine-tuned weights in what is published")
    frontier: list[Mixture] = Field(default=[], description="The mixtures of weights to choose from")
    mistakes: list[Mistake] = Field(default=[], description="The worst: the surest first")
    recipe: dict[str, JsonValue] = Field(default={}, description="The hyperparameters")
    commands: list[str] = Field(default=[], description="What makes it again, from the first base on")
    data_digest: str | None = None


class ReportView(Report):
    """The answer of GET /models/{version}/report."""

    gate: Gate | None = Field(description="The verdict, which came after the report")
    verdict: str | None = Field(description="The same in a sentence, with what was learnt and lost")
    html_url: str = Field(description="Where the report can be had as a page, without other credentials")
    expires_in_s: int = Field(description="Seconds until that address is no longer good")
