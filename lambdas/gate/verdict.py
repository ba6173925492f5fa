"""The gate's verdict: is a fine-tuned model better on the new data than its base, and has it kept the old?

Better: of the validation images that only one of the two gets right, the new model must win so many that luck alone
would do it in fewer than 1 of 20 cases (the exact form of McNemar's test, 1947: a sign test). Training chooses among
several mixtures of weights by these same images, so that chance is shared among them (Bonferroni).
Kept: the drops in accuracy at the old tasks, which training measures, are within their limits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import comb
from typing import Any

from contract.models import Gate

SIGNIFICANCE = 0.05
ROUNDING = 1e-4
"""Figures are rounded to four digits."""


def judge(metrics: Mapping[str, Any]) -> Gate:
    """The verdict on the `metrics` of a checkpoint's wordsight.json; what is missing there is a reason to refuse."""
    figures: dict[str, Any] = {}
    reasons = [*_nothing_new(metrics, figures), *_not_better(metrics, figures), *_forgotten(metrics, figures)]
    return Gate(passed=not reasons, reasons=reasons, figures=figures)


def sign_test(won: int, lost: int) -> float:
    """How likely at least `won` of `won + lost` fair coin tosses are."""
    tosses = won + lost
    return float(sum(comb(tosses, heads) for heads in range(won, tosses + 1)) / 2**tosses)


def _nothing_new(metrics: Mapping[str, Any], figures: dict[str, Any]) -> Iterator[str]:
    chosen = _member(metrics, "interpolation", "alpha")
    if not isinstance(chosen, int | float):
        yield (
            "it was not measured how far the model may move away from its base: training was stopped before its end, "
            "or did not fine-tune on a dataset"
        )
        return
    figures["alpha"] = chosen
    if chosen == 0:
        yield (
            "nothing new was learnt that could be published: within the limits of forgetting no mixture with the "
            "base's weights was better on the validation images, so these are the base's"
        )


def _not_better(metrics: Mapping[str, Any], figures: dict[str, Any]) -> Iterator[str]:
    images, won, lost = (_member(metrics, "gain", name) for name in ("images", "won", "lost"))
    if not all(isinstance(count, int) for count in (images, won, lost)):
        yield "it was not counted on how many validation images the model is better than its base"
        return
    p = sign_test(won, lost)
    limit = SIGNIFICANCE / _mixtures(metrics)
    figures |= {"images": images, "won": won, "lost": lost, "p": float(f"{p:.2g}"), "p_below": float(f"{limit:.2g}")}
    if p >= limit:
        yield (
            f"it is not better than its base for sure: of {images} validation images it wins {won} and loses {lost}, "
            f"which luck alone would do with probability {p:.2g}, and {limit:.2g} is allowed; annotate more images, "
            "or look at the sentences"
        )


def _mixtures(metrics: Mapping[str, Any]) -> int:
    """How many there were to choose from beside the base itself."""
    frontier = _member(metrics, "interpolation", "frontier")
    return max(1, len(frontier) - 1) if isinstance(frontier, list) else 1


def _forgotten(metrics: Mapping[str, Any], figures: dict[str, Any]) -> Iterator[str]:
    before, after = _accuracies(metrics, "world_before"), _accuracies(metrics, "world")
    if not before or not after.keys() >= before.keys():
        yield "it was not measured what the model has forgotten"
        return
    drops = {task: before[task] - after[task] for task in before if task in _old_tasks(metrics, before)}
    if not drops:
        figures["old_tasks"] = 0
        return
    mean, (worst, most) = sum(drops.values()) / len(drops), max(drops.items(), key=lambda drop: drop[1])
    figures |= {"old_tasks": len(drops), "mean_drop": round(mean, 4), "worst_drop": round(most, 4), "worst_task": worst}
    yield from _beyond(metrics, "max_forgetting", mean, f"the mean over the {len(drops)} old tasks")
    yield from _beyond(metrics, "max_task_forgetting", most, f"the old task {worst!r}")


def _beyond(metrics: Mapping[str, Any], limit_name: str, drop: float, where: str) -> Iterator[str]:
    limit = _member(metrics, "interpolation", limit_name)
    if not isinstance(limit, int | float):
        yield f"its checkpoint does not say what {limit_name} was"
    elif drop > limit + ROUNDING:
        yield f"{where} lost {drop:.3f} of accuracy, and {limit_name} is {limit:g}"


def _accuracies(metrics: Mapping[str, Any], name: str) -> dict[str, float]:
    tasks = metrics.get(name)
    if not isinstance(tasks, Mapping):
        return {}
    return {task: found for task in tasks if isinstance(found := _member(tasks, task, "accuracy"), int | float)}


def _old_tasks(metrics: Mapping[str, Any], measured: Collection[str]) -> Collection[str]:
    """Those that training found the base able to do, as it lists what each mixture lost; without such a list all."""
    frontier = _member(metrics, "interpolation", "frontier")
    lost = _member(frontier[0], "drop") if isinstance(frontier, list) and frontier else None
    return lost.keys() if isinstance(lost, Mapping) else measured


def _member(metrics: Mapping[str, Any], *path: str) -> Any:
    """What lies at a path, or None where the way to it ends."""
    found: Any = metrics
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
