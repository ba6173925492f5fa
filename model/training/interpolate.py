"""Weight-space ensembling after fine-tuning: how far to go from the base's weights to the tuned ones. As far as helps,
within what may be forgotten.

Weights in between can keep the old and have the new: Robust fine-tuning of zero-shot models, Wortsman et al. 2022
(WiSE-FT); Patching open-vocabulary models by interpolating weights, Ilharco et al. 2022. The old tasks are the rendered
world's, on images of their own, which neither training nor the reported figures use; and, where there is a reference
set, the base's answers to its images, of which those that are never trained on are both chosen by and reported; so are
images that were labelled before (model/training/old.py).

What was lost is known from a sample of images only, and the mixture that looks best within the limits is likely to be
one that luck made look good. So the limits hold for what may have been lost: upper ends of one-sided 95 % intervals.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from contract.gain import ALPHAS
from contract.layouts.places import shown
from contract.metrics import REFERENCE_TASK, FrontierPoint, Interpolation, WinLoss
from model.clip.architecture import DualEncoder, logit_scale
from model.clip.checkpoint import Checkpoint
from model.clip.encode import Clip
from model.evaluation.agreement import ReferenceAnswers
from model.evaluation.answers import Answers, learnt
from model.evaluation.bootstrap import CONFIDENCE, Judged, losses
from model.evaluation.gain import Answered, evidence
from model.evaluation.report import print_figures
from model.evaluation.world import World
from model.training.loop import Loop
from model.training.old import Held, hold
from model.training.progress import ProgressFile

ROUNDING = 1e-6
"""Accuracies are shares of counted images in single precision: .93 - .91 must not exceed .02."""
SELECTION_SEED = 2_000_003


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
    lost and what may have been lost of the old; `surely_lost`: at least, at tasks at which no more can be told.
    """

    alpha: float
    new: float
    lost: Drop
    at_most: Drop
    surely_lost: Mapping[str, float] = field(default_factory=dict)

    def within(self, max_forgetting: float, max_task_forgetting: float) -> bool:
        """Whether it is sure to have lost no more than is allowed, where that can be told, and not sure to have lost
        more elsewhere.
        """
        surely = max(self.surely_lost.values(), default=0.0)
        return self.at_most.within(max_forgetting, max_task_forgetting) and surely <= max_task_forgetting + ROUNDING

    def metrics(self) -> FrontierPoint:
        """Rounded to what they mean."""
        return FrontierPoint(
            alpha=self.alpha,
            new=round(self.new, 4),
            mean_drop=round(self.lost.mean, 4),
            mean_drop_at_most=round(self.at_most.mean, 4),
            worst_drop=round(self.lost.worst, 4),
            worst_drop_at_most=round(self.at_most.worst, 4),
            worst_task=self.at_most.worst_task,
            drop={name: round(lost, 4) for name, lost in self.lost.tasks.items()},
            drop_at_most={name: round(lost, 4) for name, lost in self.at_most.tasks.items()},
            surely_lost={name: round(lost, 4) for name, lost in self.surely_lost.items()},
        )


@dataclass(frozen=True)
class Selected:
    """What was chosen, what it gains on the new domain's validation images, the tasks that count as old, and the base
    with its answers to what the result is reported on, to the reference set, and to what was labelled before.
    """

    alpha: float
    metrics: Interpolation
    gain: WinLoss
    known: frozenset[str]
    base: Clip
    base_answers: Mapping[str, Answers]
    base_reference: ReferenceAnswers | None = None
    base_old: Mapping[str, Answers] = field(default_factory=dict)
    held: Held = field(default_factory=Held)


def allowed(frontier: Sequence[Candidate], max_forgetting: float, max_task_forgetting: float) -> list[Candidate]:
    """The base, and those that can't have lost more than is allowed."""
    return [each for each in frontier if each.alpha == 0 or each.within(max_forgetting, max_task_forgetting)]


def select(frontier: Sequence[Candidate], max_forgetting: float, max_task_forgetting: float) -> Candidate:
    """Pick what gains most on the new domain among those that can't have lost more than is allowed. The base, alpha 0,
    has to be among the candidates and is the answer where no other is right more often.

    Few validation images tell several mixtures not apart. Of those that are right equally often it is the furthest from
    the base: it has learnt most, and what that may cost the limits have said. `model.evaluation.gain` leaves images out
    of the same choice.
    """
    among = allowed(frontier, max_forgetting, max_task_forgetting)
    return max(among, key=lambda candidate: (candidate.new, candidate.alpha == 0, candidate.alpha))


def as_metrics(
    alpha: float, frontier: Sequence[Candidate], max_forgetting: float, max_task_forgetting: float
) -> Interpolation:
    """The choice with all that it was made from, and a sentence for a person."""
    limits = f"{max_forgetting:g} in the mean over the old tasks and {max_task_forgetting:g} at any one"
    sentence = (
        f"Published are {alpha:.0%} fine-tuned and {1 - alpha:.0%} base weights: the best mixture on the new domain "
        f"that is sure to cost at most {limits}."
    )
    if alpha == 0:
        sentence = (
            "Nothing new is published: no mixture of base and fine-tuned weights is better on the new domain and is "
            f"sure to cost at most {limits}. These are the base's weights."
        )
    return Interpolation(
        alpha=alpha,
        sentence=sentence,
        max_forgetting=max_forgetting,
        max_task_forgetting=max_task_forgetting,
        frontier=[candidate.metrics() for candidate in frontier],
    )


def interpolate(loop: Loop, checkpoint: Checkpoint, told: ProgressFile) -> Selected:
    """Measure the frontier between a base and `loop.averaged`, leave the chosen weights there, and print the choice."""
    started_s = time.monotonic()
    recipe, base = loop.recipe, Clip(checkpoint)
    tuned = [weight.clone() for weight in loop.averaged.parameters()]
    world = World(base, recipe.selection_scenes, SELECTION_SEED).every_answer()
    known: dict[str, Judged] = {**learnt(world)}
    first_row = 1 + max(int(said.rows.max()) for said in world.values())  # behind the world's images
    reference = loop.reference_answers(base, None, first_row)
    if reference is not None:
        known[REFERENCE_TASK] = reference
        first_row += len(reference.rows)
    limits = recipe.max_forgetting, recipe.max_task_forgetting
    old = loop.old.answers(base, first_row) if loop.old else {}
    held = hold(known, old, *limits)
    for name, reason in held.reasons.items():
        print(shown(f"old: {name}: {reason}"), flush=True)
    measured = [
        _measure(loop, checkpoint.model, tuned, alpha, known, held, reference)
        for alpha in told.each("choosing", ALPHAS if recipe.steps else ALPHAS[:1])
    ]
    frontier, answered = [each for each, _ in measured], [said for _, said in measured]
    chosen = select(frontier, *limits)
    alpha = chosen.alpha
    gain = evidence(
        answered, [frontier.index(each) for each in allowed(frontier, *limits)], chosen=frontier.index(chosen)
    )
    metrics = as_metrics(alpha, frontier, *limits)
    if loop.strategy and not recipe.steps:
        metrics.sentence = loop.strategy.sentence
    mix(loop.averaged, checkpoint.model, tuned, alpha)
    for candidate in frontier:
        print_figures(
            alpha=candidate.alpha,
            new_accuracy=candidate.new,
            mean_drop=candidate.lost.mean,
            mean_drop_at_most=candidate.at_most.mean,
            worst_drop_at_most=candidate.at_most.worst,
            worst_task=candidate.at_most.worst_task,
        )
    print_figures(selected=alpha, selection_s=time.monotonic() - started_s)
    print(metrics.sentence, flush=True)
    answers = World(base, recipe.evaluation_scenes).every_answer()
    return Selected(alpha, metrics, gain, frozenset(known), base, answers, reference, old, held)


@torch.no_grad()
def mix(model: DualEncoder, base: DualEncoder, tuned: list[Tensor], alpha: float) -> None:
    """Set the model's weights to (1 - alpha) * base + alpha * tuned; exact at both ends."""
    for weight, old, new in zip(model.parameters(), base.parameters(), tuned, strict=True):
        weight.copy_(torch.lerp(old.to(new.device), new, alpha))


def _measure(
    loop: Loop,
    base: DualEncoder,
    tuned: list[Tensor],
    alpha: float,
    known: Mapping[str, Judged],
    held: Held,
    reference: ReferenceAnswers | None,
) -> tuple[Candidate, Answered]:
    """A mixture beside the base's answers to what it knows, and what it says to the new domain's validation images."""
    mix(loop.averaged, base, tuned, alpha)
    cosines, batch = loop.validation_cosines()
    said = Answered.of(cosines, float(logit_scale(loop.averaged)), batch)
    new = float(said.right.mean())
    asked: dict[str, Judged] = {**known, **held.counted, **held.told}
    limited = [name for name in asked if name not in held.told]
    if alpha == 0 or not asked:
        nothing = Drop(dict.fromkeys(limited, 0.0), 0.0)
        return Candidate(alpha, new, nothing, nothing), said
    after: dict[str, Judged] = {**World(loop.clip(), loop.recipe.selection_scenes, SELECTION_SEED).every_answer()}
    if reference and (said_now := loop.reference_answers(loop.clip(), reference)):
        after[REFERENCE_TASK] = said_now
    if loop.old:
        after |= loop.old.answers(loop.clip())
    lost, resampled = losses(asked, after)
    estimates, lows, highs = (
        dict(zip(asked, ends.tolist(), strict=True))
        for ends in (lost, resampled.quantile(1 - CONFIDENCE, dim=0), resampled.quantile(CONFIDENCE, dim=0))
    )
    mean, mean_at_most = 0.0, 0.0
    if columns := [column for column, name in enumerate(asked) if name in (limited if held.in_mean else known)]:
        mean, mean_at_most = float(lost[columns].mean()), float(resampled[:, columns].mean(dim=1).quantile(CONFIDENCE))
    candidate = Candidate(
        alpha,
        new,
        lost=Drop({name: estimates[name] for name in limited}, mean),
        at_most=Drop({name: highs[name] for name in limited}, mean_at_most),
        surely_lost={name: lows[name] for name in held.told},
    )
    return candidate, said
