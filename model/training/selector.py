"""How far to go from the base checkpoint towards the fine-tuned one: as far as helps, within what may be forgotten.

Weights in between can keep the old and have the new: Robust fine-tuning of zero-shot models, Wortsman et al. 2022
(WiSE-FT); Patching open-vocabulary models by interpolating weights, Ilharco et al. 2022.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the fine-tuned weights; 0 is the base checkpoint."""

ROUNDING = 1e-6
"""Accuracies are shares of counted images in single precision: .93 - .91 must not exceed .02."""


@dataclass(frozen=True)
class Candidate:
    """The weights (1 - alpha) * base + alpha * tuned, and the accuracies found: on the new domain's validation images,
    and at each old task.
    """

    alpha: float
    new: float
    old: Mapping[str, float]


@dataclass(frozen=True)
class Drop:
    """What a candidate lost against the base, in accuracy: in the mean over the old tasks, and at the worst one. A gain
    is a loss below zero.
    """

    mean: float
    worst: float
    worst_task: str | None


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
                f"costs at most {limits}. These are the base's weights."
            )
        return (
            f"Published are {self.picked.alpha:.0%} fine-tuned and {1 - self.picked.alpha:.0%} base weights: the best "
            f"mixture on the new domain that costs at most {limits}."
        )

    def as_metrics(self) -> dict[str, JsonValue]:
        """The frontier and the decision as JSON values."""
        return {
            "alpha": self.picked.alpha,
            "max_forgetting": self.max_forgetting,
            "max_task_forgetting": self.max_task_forgetting,
            "frontier": [self._figures(candidate) for candidate in self.frontier],
        }

    def _figures(self, candidate: Candidate) -> JsonValue:
        lost = drop(base_of(self.frontier), candidate)
        old: dict[str, JsonValue] = {name: round(accuracy, 4) for name, accuracy in candidate.old.items()}
        return {
            "alpha": candidate.alpha,
            "new": round(candidate.new, 4),
            "old": old,
            "mean_drop": round(lost.mean, 4),
            "worst_drop": round(lost.worst, 4),
            "worst_task": lost.worst_task,
        }


def base_of(frontier: Sequence[Candidate]) -> Candidate:
    """The candidate that changes nothing."""
    return next(candidate for candidate in frontier if candidate.alpha == 0)


def drop(base: Candidate, candidate: Candidate) -> Drop:
    """What the candidate lost against the base."""
    losses = {name: accuracy - candidate.old[name] for name, accuracy in base.old.items()}
    if not losses:
        return Drop(0.0, 0.0, None)
    worst = max(losses, key=lambda name: losses[name])
    return Drop(sum(losses.values()) / len(losses), losses[worst], worst)


def select(frontier: Sequence[Candidate], max_forgetting: float, max_task_forgetting: float) -> Choice:
    """Pick what gains most on the new domain among those that lost no more than is allowed; of equals the nearest to
    the base. The base, alpha 0, has to be among the candidates and is the answer where no other qualifies.
    """
    base = base_of(frontier)
    losses = {candidate.alpha: drop(base, candidate) for candidate in frontier}
    allowed = [
        candidate
        for candidate in frontier
        if losses[candidate.alpha].mean <= max_forgetting + ROUNDING
        and losses[candidate.alpha].worst <= max_task_forgetting + ROUNDING
    ]
    picked = max(allowed, key=lambda candidate: (candidate.new, -candidate.alpha))
    return Choice(tuple(frontier), picked, max_forgetting, max_task_forgetting)
