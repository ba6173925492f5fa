"""How far to go from the base checkpoint towards the fine-tuned one: as far as helps, within what may be forgotten.

Weights in between can keep the old and have the new: Robust fine-tuning of zero-shot models, Wortsman et al. 2022
(WiSE-FT); Patching open-vocabulary models by interpolating weights, Ilharco et al. 2022.

What was lost is known from a sample of images only, and the mixture that looks best within the limits is likely to be
one that luck made look good. So the limits hold for what may have been lost: upper ends of one-sided 95 % intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

ALPHAS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of the fine-tuned weights; 0 is the base checkpoint."""

ROUNDING = 1e-6
"""Accuracies are shares of counted images in single precision: .93 - .91 must not exceed .02."""


@dataclass(frozen=True)
class Drop:
    """What was lost against the base, in accuracy: at each old task, and in the mean over them. A gain is a loss below
    zero.
    """

    tasks: Mapping[str, float]
    mean: float

    @property
    def worst_task(self) -> str | None:
        """Where most was lost."""
        return max(self.tasks, key=lambda name: self.tasks[name], default=None)

    @property
    def worst(self) -> float:
        """How much that was."""
        return max(self.tasks.values(), default=0.0)

    def within(self, mean: float, task: float) -> bool:
        """Whether neither limit is exceeded."""
        return self.mean <= mean + ROUNDING and self.worst <= task + ROUNDING


@dataclass(frozen=True)
class Candidate:
    """The weights (1 - alpha) * base + alpha * tuned, the accuracy on the new domain's validation images, and what was
    lost and what may have been lost of the old.
    """

    alpha: float
    new: float
    lost: Drop
    at_most: Drop


@dataclass(frozen=True)
class Choice:
    """All candidates, the one to publish, and the limits it had to keep."""

    frontier: tuple[Candidate, ...]
    picked: Candidate
    max_forgetting: float
    max_task_forgetting: float

    @property
    def sentence(self) -> str:
        """What was decided, for a person."""
        limits = f"{self.max_forgetting:g} in the mean over the old tasks and {self.max_task_forgetting:g} at any one"
        if self.picked.alpha == 0:
            return (
                "Nothing new is published: no mixture of base and fine-tuned weights is better on the new domain and "
                f"is sure to cost at most {limits}. These are the base's weights."
            )
        return (
            f"Published are {self.picked.alpha:.0%} fine-tuned and {1 - self.picked.alpha:.0%} base weights: the best "
            f"mixture on the new domain that is sure to cost at most {limits}."
        )

    def as_metrics(self) -> dict[str, JsonValue]:
        """The frontier and the decision as JSON values."""
        return {
            "alpha": self.picked.alpha,
            "sentence": self.sentence,
            "max_forgetting": self.max_forgetting,
            "max_task_forgetting": self.max_task_forgetting,
            "frontier": [_figures(candidate) for candidate in self.frontier],
        }


def base_of(frontier: Sequence[Candidate]) -> Candidate:
    """The candidate that changes nothing."""
    return next(candidate for candidate in frontier if candidate.alpha == 0)


def select(frontier: Sequence[Candidate], max_forgetting: float, max_task_forgetting: float) -> Choice:
    """Pick what gains most on the new domain among those that can't have lost more than is allowed; of equals the
    nearest to the base. The base, alpha 0, has to be among the candidates and is the answer where no other qualifies.
    """
    base = base_of(frontier)
    allowed = [
        candidate
        for candidate in frontier
        if candidate is base or candidate.at_most.within(max_forgetting, max_task_forgetting)
    ]
    picked = max(allowed, key=lambda candidate: (candidate.new, -candidate.alpha))
    return Choice(tuple(frontier), picked, max_forgetting, max_task_forgetting)


def _figures(candidate: Candidate) -> JsonValue:
    return {
        "alpha": candidate.alpha,
        "new": round(candidate.new, 4),
        "mean_drop": round(candidate.lost.mean, 4),
        "mean_drop_at_most": round(candidate.at_most.mean, 4),
        "worst_drop": round(candidate.lost.worst, 4),
        "worst_drop_at_most": round(candidate.at_most.worst, 4),
        "worst_task": candidate.at_most.worst_task,
        "drop": {name: round(lost, 4) for name, lost in candidate.lost.tasks.items()},
        "drop_at_most": {name: round(lost, 4) for name, lost in candidate.at_most.tasks.items()},
    }
