"""Metrics: what training writes of a run into wordsight.json, and what the gate, the model card and the next run read.

They are read leniently: a figure that is missing, or of another type than it should be, is None. Checkpoints of earlier
versions and of other programs lack some, and the gate has to judge those too.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

from pydantic import ConfigDict, JsonValue, ValidationError, field_validator, model_validator

from contract.deferred import Deferred


class _Figures(Deferred):
    model_config = ConfigDict(strict=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_where_there_are_no_figures(cls, given: Any) -> Any:
        return given if isinstance(given, (Mapping, cls)) else {}

    @field_validator("*", mode="wrap")
    @classmethod
    def _none_where_it_can_not_be_read(cls, given: Any, read: Callable[[Any], Any]) -> Any:
        try:
            return read(given)
        except ValidationError:
            return None


class TaskFigures(_Figures):
    """How well a model does at one classification task; model/evaluation/answers.py says what each figure is."""

    accuracy: float | None = None
    macro_recall: float | None = None
    chance: float | None = None
    images: int | None = None
    calibration_error: float | None = None
    raw_calibration_error: float | None = None


class Change(_Figures):
    """Of a task's accuracy against the base, on the same images, with its 95 % interval."""

    estimate: float | None = None
    low: float | None = None
    high: float | None = None


class Wording(_Figures):
    """Mean accuracy of single sentences per label: of those that training uses, and of those that it never does."""

    trained: float | None = None
    held_out: float | None = None
    gap: float | None = None


class Heads(_Figures):
    """A task's accuracy where its head answers (model/clip/head.py), fitted to `images` of those that were trained on:
    on the base's embeddings, which takes no training, and on the new model's. The words answer where a head shows no
    gain.
    """

    images: int | None = None
    before: float | None = None
    after: float | None = None


class Validation(_Figures):
    """Of the averaged weights, on the validation images; `step` where it is a point of the learning curve. Accuracy is
    by labels where images have some; what these do with their sentences is `validation_retrieval`.
    """

    step: int | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    validation_retrieval: float | None = None


class FrontierPoint(_Figures):
    """A mixture of base and fine-tuned weights that could have been published, with the accuracy on the new domain's
    validation images and the drops in accuracy at the old tasks; `at_most`: ends of one-sided 95 % intervals.
    `surely_lost`: the lower ends, of what was labelled before and is too little for the limits.
    """

    alpha: float | None = None
    new: float | None = None
    mean_drop: float | None = None
    mean_drop_at_most: float | None = None
    worst_drop: float | None = None
    worst_drop_at_most: float | None = None
    worst_task: str | None = None
    drop: dict[str, float] | None = None
    drop_at_most: dict[str, float] | None = None
    surely_lost: dict[str, float] | None = None


REFERENCE_TASK = "reference images"
"""What the answers to these are called among the old tasks, of which what was lost is one minus the agreement."""


class Reference(_Figures):
    """Of the published weights on a reference set of the user's own images: `learnt` were trained on, and `images`
    others asked; `unreadable` and `of_dataset` were left out. `agreement`: the share of answers to the images asked
    that are the base's, where it is sure; `variation`: mean total variation between both models' probabilities.
    model/evaluation/agreement.py says how; `at_least` and `at_most` are ends of one-sided 95 % intervals.
    """

    learnt: int | None = None
    images: int | None = None
    unreadable: int | None = None
    of_dataset: int | None = None
    agreement: float | None = None
    agreement_at_least: float | None = None
    variation: float | None = None
    variation_at_most: float | None = None


class Interpolation(_Figures):
    """Between the weights of the base (alpha 0) and the fine-tuned ones (alpha 1): what was chosen, and from what."""

    alpha: float | None = None
    sentence: str | None = None
    max_forgetting: float | None = None
    max_task_forgetting: float | None = None
    frontier: list[FrontierPoint] | None = None


Chosen = Literal["head", "projection", "full"]
"""What a run may choose to learn: nothing, since a head answers; the visual projection; all weights."""


class Strategy(_Figures):
    """What strategy=auto chose, why, and by which figures: shares of the base's wrong answers to `images` that are
    trained on, of each label `images_per_label` in the median, by its words; by heads, left out one by one; and with
    the visual projection trained on the others. model/training/strategy.py says how.
    """

    chosen: Chosen | None = None
    sentence: str | None = None
    images: int | None = None
    images_per_label: float | None = None
    words: float | None = None
    head: float | None = None
    projection: float | None = None


class WinLoss(_Figures):
    """Of the new domain's validation images, how many only the new model gets right, and how many only its base; mean
    and standard deviation of what each gains in the probability of what is true, and the most that any gains or loses;
    and how likely answers that have nothing to do with what is true are as good. model/evaluation/gain.py says how.
    """

    images: int | None = None
    won: int | None = None
    lost: int | None = None
    mean: float | None = None
    deviation: float | None = None
    largest: float | None = None
    unrelated: float | None = None


Tasks = dict[str, TaskFigures]
"""By the task's name."""
Told = dict[str, JsonValue]
"""Hyperparameters by name."""


class Metrics(_Figures):
    """The `metrics` of a checkpoint. A run that was stopped has measured nothing; what begins with `world_before` is of
    fine-tuning on a dataset, what begins with `new` of data that names labels, `reference` of a run with such a set.

    What begins with `old` is of a run with images that were labelled before, by what their tasks are called:
    `old_reasons` says why the limits do not hold for a set, `old_in_mean` whether the others are in the mean over the
    old tasks.
    """

    step: int | None = None
    hyperparameters: Told | None = None
    given_hyperparameters: Told | None = None
    replay_share: float | None = None
    reference_share: float | None = None
    pair_share: float | None = None
    distillation_weight: float | None = None
    precision: Literal["fp32", "bf16"] | None = None
    base_recipes: list[Told] | None = None
    learning_curve: list[Validation] | None = None
    before: Validation | None = None
    after: Validation | None = None
    world: Tasks | None = None
    world_wrong_above_half: dict[str, float] | None = None
    wording: dict[str, Wording] | None = None
    new: Tasks | None = None
    new_wording: dict[str, Wording] | None = None
    new_reported_on: Literal["validation", "test"] | None = None
    new_wrong_above_half: dict[str, float] | None = None
    new_before: Tasks | None = None
    new_change: dict[str, Change] | None = None
    new_heads: dict[str, Heads] | None = None
    world_before: Tasks | None = None
    world_change: dict[str, Change] | None = None
    reference: Reference | None = None
    old: Tasks | None = None
    old_before: Tasks | None = None
    old_change: dict[str, Change] | None = None
    old_reasons: dict[str, str] | None = None
    old_in_mean: bool | None = None
    interpolation: Interpolation | None = None
    strategy: Strategy | None = None
    gain: WinLoss | None = None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """What can be read of the `metrics` in a wordsight.json."""
        return cls.model_validate(found)

    def to_json(self) -> dict[str, JsonValue]:
        """Without what was not measured."""
        return self.model_dump(mode="json", exclude_unset=True)

    @property
    def recipes(self) -> list[Told]:
        """What the runs that led to the checkpoint were told, the first one first; none where it came from elsewhere.

        Early checkpoints don't tell the hyperparameters that were given from the others.
        """
        own = self.hyperparameters if self.given_hyperparameters is None else self.given_hyperparameters
        return [*(self.base_recipes or []), *([] if own is None else [own])]

    @property
    def learnt_from_world(self) -> bool:
        """Whether the run showed the rendered world: as its data, or by replay."""
        return (self.hyperparameters or {}).get("data") == "world" or (self.replay_share or 0) > 0
