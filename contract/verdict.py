"""What became of a training, as a sentence for a person: the same in the API, at the command line and in the report."""

from contract.metrics import REFERENCE_TASK, Metrics, Reference, Tasks, Validation, WinLoss
from contract.models import Gate

LIVE = "It may go live"
NOT_LIVE = "It may not go live"
NAMED = 3
"""Sets of images that were labelled before; the others are in the report."""


def verdict_sentence(gate: Gate, metrics: Metrics) -> str:
    """Whether a model may go live, why not, and what it has learnt and lost."""
    found = outcome(metrics)
    if gate.passed:
        return f"{LIVE}: {found or 'it passed the gate'}."
    why = "; ".join(gate.reasons)
    return f"{NOT_LIVE}: {why}." + (f" {found[0].upper()}{found[1:]}." if found else "")


def outcome(metrics: Metrics) -> str:
    """What was learnt and lost, as a clause; empty where neither was measured."""
    return "; ".join(filter(None, (_learnt(metrics), _lost(metrics), _kept(metrics), _labelled(metrics))))


def percent(share: float) -> str:
    """`33 %`; `99.6 %` where whole ones would round to all or none, which only all and none are."""
    whole = f"{100 * share:.0f}"
    if whole not in ("0", "100") or share in (0, 1):
        return f"{whole} %"
    return f"{min(max(100 * share, 0.1), 99.9):.1f} %"


def _learnt(metrics: Metrics) -> str:
    before, after = (metrics.before or Validation()).validation_accuracy, metrics.after or Validation()
    if before is None or after.validation_accuracy is None:
        return ""
    gain = metrics.gain or WinLoss()
    counted = "" if gain.won is None or gain.lost is None else f" ({gain.won} won, {gain.lost} lost)"
    images = "the" if gain.images is None else f"{gain.images:,}"
    now = percent(after.validation_accuracy)
    return f"it gets {now} of {images} validation images right, and its base {percent(before)}{counted}"


def _lost(metrics: Metrics) -> str:
    drops = forgotten(metrics)
    if not drops:
        return ""
    worst, most = max(drops.items(), key=lambda drop: drop[1])
    in_mean = mean_over(metrics)
    if not in_mean:
        return f"the old task {worst} lost {100 * most:.1f} points of accuracy" if most > 0 else ""
    mean = sum(in_mean.values()) / len(in_mean)
    changed = "lost" if mean >= 0 else "gained"
    kept = (
        f"{len(in_mean)} old {'task' if len(in_mean) == 1 else 'tasks'} {changed} {100 * abs(mean):.1f} points of "
        "accuracy"
    )
    return kept + (f" in the mean, at most {100 * most:.1f} ({worst})" if len(drops) > 1 and most > 0 else "")


def _kept(metrics: Metrics) -> str:
    found = metrics.reference or Reference()
    if found.agreement is None or found.images is None:
        return ""
    return f"{percent(found.agreement)} of its answers to {found.images:,} reference images are its base's"


def _labelled(metrics: Metrics) -> str:
    before, after = accuracies(metrics.old_before), accuracies(metrics.old)
    told = [f"{name} {percent(before[name])} → {percent(after[name])}" for name in before if name in after]
    more = f" and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return f"of what was labelled before it gets right: {', '.join(told[:NAMED])}{more}" if told else ""


def forgotten(metrics: Metrics) -> dict[str, float]:
    """What the published weights have lost in accuracy at each old task, a gain below zero. As old counts what the base
    could do, of images that were labelled before where that can be told, and what it answers to a reference set, of
    which other answers are lost.
    """
    before = {**accuracies(metrics.world_before), **accuracies(metrics.old_before)}
    after = {**accuracies(metrics.world), **accuracies(metrics.old)}
    frontier = metrics.interpolation and metrics.interpolation.frontier
    known = frontier[0].drop if frontier else None
    old = before.keys() if known is None else before.keys() & known.keys()
    drops = {task: before[task] - after[task] for task in before if task in old and task in after}
    agreement = (metrics.reference or Reference()).agreement
    return drops if agreement is None else {**drops, REFERENCE_TASK: 1 - agreement}


def mean_over(metrics: Metrics) -> dict[str, float]:
    """Those of `forgotten` that the limit of the mean is about: without what was labelled before, if that is too little
    to tell.
    """
    but_not = {} if metrics.old_in_mean else metrics.old_before or {}
    return {task: lost for task, lost in forgotten(metrics).items() if task not in but_not}


def accuracies(tasks: Tasks | None) -> dict[str, float]:
    """Of the tasks at which it was measured."""
    return {task: found.accuracy for task, found in (tasks or {}).items() if found.accuracy is not None}
