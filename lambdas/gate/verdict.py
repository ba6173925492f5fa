"""The gate's verdict: is a fine-tuned model better on the new data than its base, and has it kept the old?

Better: by the two tests of `contract.gain`.
Kept: the drops in accuracy at the old tasks, which training measures, are within their limits. Where the training had a
reference set, other answers than the base's to its images are such a drop. So is what was lost at images that were
labelled before; of a set that is too small to tell, as model/training/old.py has it, only what was lost for sure, by
the same figure by which training has chosen.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from contract.gain import NO_GAIN_BELOW, UNRELATED_BELOW, chance_of_no_gain
from contract.metrics import REFERENCE_TASK, Interpolation, Metrics, Strategy, WinLoss
from contract.models import Gate
from contract.verdict import accuracies, forgotten, mean_over

ROUNDING = 1e-4
"""Figures are rounded to four digits."""


def judge(metrics: Mapping[str, Any]) -> Gate:
    """The verdict on the `metrics` of a checkpoint's wordsight.json; what is missing there is a reason to refuse."""
    found, figures = Metrics.of(metrics), dict[str, Any]()
    if found.strategy and found.strategy.chosen == "head":
        figures |= found.strategy.model_dump(exclude={"sentence"}, exclude_none=True)
        return Gate(passed=False, reasons=[*_not_trained(found.strategy)], figures=figures)
    interpolation = found.interpolation or Interpolation()
    reasons = [
        *_nothing_new(interpolation, figures),
        *_not_better(found.gain or WinLoss(), figures),
        *_forgotten(found, interpolation, figures),
    ]
    return Gate(passed=not reasons, reasons=reasons, figures=figures)


def _not_trained(strategy: Strategy) -> Iterator[str]:
    said = (strategy.sentence or "annotated images already answer as well without a training").rstrip(".")
    yield f"{said[0].lower()}{said[1:]}"


def _nothing_new(interpolation: Interpolation, figures: dict[str, Any]) -> Iterator[str]:
    if interpolation.alpha is None:
        yield (
            "it was not measured how far the model may move away from its base: training was stopped before its end, "
            "or did not fine-tune on a dataset"
        )
        return
    figures["alpha"] = interpolation.alpha
    if interpolation.alpha == 0:
        yield (
            "nothing new was learnt that could be published: within the limits of forgetting no mixture with the "
            "base's weights was better on the validation images, so these are the base's"
        )


def _not_better(gain: WinLoss, figures: dict[str, Any]) -> Iterator[str]:
    images, mean, deviation, largest, unrelated = gain.images, gain.mean, gain.deviation, gain.largest, gain.unrelated
    if images is None or mean is None or deviation is None or largest is None or unrelated is None:
        yield "it was not measured on how many validation images the model is better than its base"
        return
    p = chance_of_no_gain(images, mean, deviation, largest)
    figures |= {**gain.model_dump(), "p": float(f"{p:.2g}"), "p_below": NO_GAIN_BELOW}
    figures |= {"unrelated_below": UNRELATED_BELOW}
    counts = f"of {images} validation images it wins {gain.won} and loses {gain.lost}"
    todo = "annotate more images, or look at the labels and sentences"
    if unrelated >= UNRELATED_BELOW:
        yield (
            f"its answers may have nothing to do with what is true of the images: {counts}, and shuffled labels fit "
            f"them as well with probability {unrelated:.2g}, where {UNRELATED_BELOW:g} is allowed; {todo}"
        )
    if p >= NO_GAIN_BELOW:
        yield (
            f"it is not better than its base for sure: {counts}, and gives {mean:+.3f} more probability to what is "
            f"true, which luck alone would do with probability {p:.2g}, where {NO_GAIN_BELOW:g} is allowed; {todo}"
        )


def _forgotten(metrics: Metrics, interpolation: Interpolation, figures: dict[str, Any]) -> Iterator[str]:
    before, after = accuracies(metrics.world_before), accuracies(metrics.world)
    if not before or not after.keys() >= before.keys():
        yield "it was not measured what the model has forgotten"
        return
    if metrics.reference is not None:
        if metrics.reference.agreement is None:
            yield (
                "it was not measured what the model answers to the reference images: none of them could be used, or "
                "the base is sure of nothing there; name other images than the dataset's, or train without a "
                "reference set"
            )
        told = metrics.reference.model_dump(exclude_none=True)
        figures |= {f"reference_{name}": value for name, value in told.items()}
    mean_limit, task_limit = interpolation.max_forgetting, interpolation.max_task_forgetting
    yield from _labelled(metrics, interpolation, figures)
    drops, in_mean = forgotten(metrics), mean_over(metrics)
    figures["old_tasks"] = len(drops)
    if in_mean:
        mean = sum(in_mean.values()) / len(in_mean)
        figures["mean_drop"] = round(mean, 4)
        yield from _beyond("max_forgetting", mean_limit, mean, f"the mean over the {len(in_mean)} old tasks")
    if not drops:
        return
    worst, most = max(drops.items(), key=lambda drop: drop[1])
    figures |= {"worst_drop": round(most, 4), "worst_task": worst}
    where = "the answers to the reference images" if worst == REFERENCE_TASK else f"the old task {worst!r}"
    yield from _beyond("max_task_forgetting", task_limit, most, where)


def _labelled(metrics: Metrics, interpolation: Interpolation, figures: dict[str, Any]) -> Iterator[str]:
    """What was labelled before, each set of it; reasons are of those for which the limits do not hold."""
    before, after = accuracies(metrics.old_before), accuracies(metrics.old)
    limit, reasons, sets = interpolation.max_task_forgetting, metrics.old_reasons or {}, dict[str, Any]()
    published = (point for point in interpolation.frontier or () if point.alpha == interpolation.alpha)
    surely_lost = next((point.surely_lost or {} for point in published), {})
    for name, was in before.items():
        if name not in after:
            continue
        images = (metrics.old or {})[name].images
        sets[name] = {"before": was, "after": after[name], "images": images}
        if name not in reasons:
            continue
        sets[name]["no_limit"] = reasons[name]
        if limit is not None and surely_lost.get(name, 0) > limit + ROUNDING:
            yield (
                f"the old task {name!r} lost {was - after[name]:.3f} of accuracy on {images} images, and for sure more "
                f"than {limit:g}, which is what max_task_forgetting is"
            )
    if sets:
        figures["labelled_before"] = sets


def _beyond(name: str, limit: float | None, drop: float, where: str) -> Iterator[str]:
    if limit is None:
        yield f"its checkpoint does not say what {name} was"
    elif drop > limit + ROUNDING:
        yield f"{where} lost {drop:.3f} of accuracy, and {name} is {limit:g}"
