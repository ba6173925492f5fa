"""What a model says to a task's images, and the figures that follow from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from model.clip.calibration import expected_calibration_error
from model.clip.checkpoint import MultiLabelCalibration


@dataclass(frozen=True)
class Answers:
    """`cosines` float [images, labels], `targets` int [images]: the right labels, `rows` int [images]: which pictures
    these are, so that answers of two models or to two tasks can be paired.
    """

    cosines: Tensor
    targets: Tensor
    rows: Tensor

    @property
    def right(self) -> Tensor:
        """Whether the best label is the right one: bool [images]"""
        return self.cosines.argmax(dim=1) == self.targets

    @property
    def truth(self) -> Tensor:
        """Which label is right: bool [images, labels]"""
        return one_hot(self.targets, self.cosines.shape[1]).bool()


@dataclass(frozen=True)
class TaskResult:
    """One task's figures. `macro_recall` is the mean over the labels of how many of their images are found; `chance` is
    one over the number of labels; `calibration_error` is after the fitted temperature, `raw_calibration_error` before.
    """

    accuracy: float
    macro_recall: float
    chance: float
    images: int
    calibration_error: float
    raw_calibration_error: float


def result(said: Answers, logit_scale: float, temperature: float) -> TaskResult:
    """A task's figures."""
    labels = said.cosines.shape[1]
    logits = said.cosines * logit_scale
    asked = said.targets.bincount(minlength=labels)
    found = said.targets[said.right].bincount(minlength=labels)
    return TaskResult(
        accuracy=float(said.right.float().mean()),
        macro_recall=float((found[asked > 0] / asked[asked > 0]).mean()),
        chance=1 / labels,
        images=len(said.targets),
        calibration_error=expected_calibration_error((logits / temperature).softmax(dim=1), said.targets),
        raw_calibration_error=expected_calibration_error(logits.softmax(dim=1), said.targets),
    )


def wrong_above_half(said: Answers, curve: MultiLabelCalibration) -> float:
    """Share of wrong labels that score above 0.5 when each label is scored on its own."""
    return round(float((curve.a * said.cosines[~said.truth] + curve.b > 0).float().mean()), 4)


def as_metrics(results: Mapping[str, TaskResult]) -> dict[str, dict[str, float]]:
    """The results as JSON values, rounded to what they mean."""
    return {name: {key: round(value, 4) for key, value in asdict(one).items()} for name, one in results.items()}


def mean_accuracy(answers: Mapping[str, Answers]) -> float:
    """The mean over tasks, for progress; to judge a model look at every task."""
    return float(torch.stack([said.right.float().mean() for said in answers.values()]).mean())
