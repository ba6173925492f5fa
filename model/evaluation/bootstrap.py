"""How far a figure may be from the truth, because only so many images were asked for.

An Introduction to the Bootstrap, Efron and Tibshirani 1993. Two models are compared on the same images, which cancels
what makes an image easy or hard.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

import torch
from torch import Tensor

from model.evaluation.answers import Answers, rounded

RESAMPLES = 1000
AT_ONCE = 100
CONFIDENCE = 0.95


class Judged(Protocol):
    """What was answered about some images, so that two models can be compared on the same ones."""

    @property
    def rows(self) -> Tensor:
        """Which images these are. int [images]"""

    @property
    def right(self) -> Tensor:
        """Whether the answer to each is right, or what share of several is. [images]"""


@dataclass(frozen=True)
class Change:
    """What a task's accuracy changed by, with its 95 % interval."""

    estimate: float
    low: float
    high: float


def change(before: Answers, after: Answers) -> Change:
    """Of the same task on the same images."""
    gained = _gained(before, after)
    tail = (1 - CONFIDENCE) / 2
    low, high = resampled_means(gained[:, None])[:, 0].quantile(torch.tensor([tail, 1 - tail])).tolist()
    return Change(float(gained.mean()), low, high)


def changes(before: Mapping[str, Answers], after: Mapping[str, Answers]) -> dict[str, dict[str, float]]:
    """Every task's, rounded to what they mean."""
    return {name: rounded(asdict(change(said, after[name]))) for name, said in before.items()}


def losses(before: Mapping[str, Judged], after: Mapping[str, Judged]) -> tuple[Tensor, Tensor]:
    """What each task lost, and what it lost in each of many resamplings of the images; an image is drawn for all its
    tasks at once. Two imaginary images are among them, one lost and one won by every task, so that a few equal answers
    are no certainty (Agresti and Min 2005). shapes = [tasks], [resamples, tasks]
    """
    images = 1 + max(int(said.rows.max()) for said in before.values())
    lost = torch.full((images, len(before)), torch.nan)
    for column, name in enumerate(before):
        lost[before[name].rows, column] = -_gained(before[name], after[name])
    lost = lost[~lost.isnan().all(dim=1)]
    imaginary = torch.ones(2, len(before)) * torch.tensor([[1.0], [-1.0]])
    return lost.nanmean(dim=0), resampled_means(torch.cat([lost, imaginary]))


def resampled_means(values: Tensor, seed: int = 0) -> Tensor:
    """Means over images drawn with replacement, as many as there are. `values` float [images, columns], NaN where an
    image doesn't count for a column. shape = [resamples, columns]
    """
    counts = (~values.isnan()).to(values.dtype)
    generator = torch.Generator().manual_seed(seed)
    means = []
    for _ in range(RESAMPLES // AT_ONCE):
        drawn = torch.randint(len(values), (AT_ONCE, len(values)), generator=generator)
        times = torch.zeros(AT_ONCE, len(values)).scatter_add_(1, drawn, torch.ones(drawn.shape))
        means.append((times @ values.nan_to_num()) / (times @ counts).clamp(min=1))
    return torch.cat(means)


def _gained(before: Judged, after: Judged) -> Tensor:
    """From -1 to 1 for each image. shape = [images]"""
    return after.right.float() - before.right.float()
