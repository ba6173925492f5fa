"""Weight-space ensembling after fine-tuning: how far to go from the base's weights to the tuned ones. As far as helps,
within what may be forgotten.

Weights in between can keep the old and have the new: Robust fine-tuning of zero-shot models, Wortsman et al. 2022
(WiSE-FT); Patching open-vocabulary models by interpolating weights, Ilharco et al. 2022. The old tasks are the rendered
world's, on images of their own, which neither training nor the reported figures use; and, where there is a reference
set, the base's answers to its images, of which those that are never trained on are both chosen by and reported.

What was lost is known from a sample of images only, and the mixture that looks best within the limits is likely to be
one that luck made look good. So the limits hold for what may have been lost: upper ends of one-sided 95 % intervals.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from contract.gain import ALPHAS
from contract.metrics import REFERENCE_TASK, FrontierPoint, Interpolation, WinLoss
from model.clip.architecture import DualEncoder, logit_scale
from model.clip.checkpoint import Checkpoint
from model.clip.encode import Clip
from model.evaluation.agreement import ReferenceAnswers
from model.evaluation.answers import Answers
from model.evaluation.bootstrap import CONFIDENCE, Judged, losses
from model.evaluation.gain import Answered, evidence
from model.evaluation.report import print_figures
from model.evaluation.world import World
from model.training.loop import Loop
from model.training.progress import ProgressFile

ROUNDING = 1e-6
"""Accuracies are shares of counted images in single precision: .93 - .91 must not exceed .02."""
SELECTION_SEED = 2_000_003
LEARNT_ABOVE_CHANCE = 0.15
"""A base that is nearer to chance at a task has not learnt it, and can't forget it: differences there are luck."""


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
    """The weights (1 - alpha) * base + alpha * tuned, the accuracy on the new domain's validation images, the
    probability given to what is true of them (in the mean), and what was lost and what may have been lost of the old.
    """

    alpha: float
    new: float
    agreement: float
    lost: Drop
    at_most: Drop

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
        )


@dataclass(frozen=True)
class Selected:
    """What was chosen, what it gains on the new domain's validation images, the tasks that count as old, and the base
    with its answers to what the result is reported on, and to the reference set.
    """

    alpha: float
    metrics: Interpolation
    gain: WinLoss
    known: frozenset[str]
    base: Clip
    base_answers: Mapping[str, Answers]
    base_reference: ReferenceAnswers | None = None


def allowed(frontier: Sequence[Candidate], max_forgetting: float, max_task_forgetting: float) -> list[Candidate]:
    """The base, and those that can't have lost more than is allowed."""
    return [each for each in frontier if each.alpha == 0 or each.at_most.within(max_forgetting, max_task_forgetting)]


def select(frontier: Sequence[Candidate], max_forgetting: float, max_task_forgetting: float) -> Candidate:
    """Pick what gains most on the new domain among those that can't have lost more than is allowed. The base, alpha 0,
    has to be among the candidates and is the answer where no other is right more often.

    Of others that are right equally often, as several are where there are few validation images, it is the one that
    gives more probability to what is true, and then the nearest to the base. `model.evaluation.gain` leaves images out
    of the same choice.
    """
    among = allowed(frontier, max_forgetting, max_task_forgetting)
    return max(among, key=lambda each: (each.new, each.alpha == 0, each.agreement, -each.alpha))


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
    measured = [
        _measure(loop, checkpoint.model, tuned, alpha, known, reference) for alpha in told.each("choosing", ALPHAS)
    ]
    frontier, answered = [each for each, _ in measured], [said for _, said in measured]
    limits = recipe.max_forgetting, recipe.max_task_forgetting
    chosen = select(frontier, *limits)
    alpha = chosen.alpha
    gain = evidence(
        answered, [frontier.index(each) for each in allowed(frontier, *limits)], chosen=frontier.index(chosen)
    )
    metrics = as_metrics(alpha, frontier, *limits)
    mix(loop.averaged, checkpoint.model, tuned, alpha)
    for candidate in frontier:
        print_figures(
            alpha=candidate.alpha,
            new_accuracy=candidate.new,
            new_agreement=candidate.agreement,
            mean_drop=candidate.lost.mean,
            mean_drop_at_most=candidate.at_most.mean,
            worst_drop_at_most=candidate.at_most.worst,
            worst_task=candidate.at_most.worst_task,
        )
    print_figures(selected=alpha, selection_s=time.monotonic() - started_s)
    print(metrics.sentence, flush=True)
    answers = World(base, recipe.evaluation_scenes).every_answer()
    return Selected(alpha, metrics, gain, frozenset(known), base, answers, reference)


@torch.no_grad()
def mix(model: DualEncoder, base: DualEncoder, tuned: list[Tensor], alpha: float) -> None:
    """Set the model's weights to (1 - alpha) * base + alpha * tuned; exact at both ends."""
    for weight, old, new in zip(model.parameters(), base.parameters(), tuned, strict=True):
        weight.copy_(torch.lerp(old.to(new.device), new, alpha))


def learnt(answers: Mapping[str, Answers]) -> dict[str, Answers]:
    """The tasks that a model can do."""
    return {
        name: said
        for name, said in answers.items()
        if said.right.float().mean() >= 1 / said.cosines.shape[1] + LEARNT_ABOVE_CHANCE
    }


def _measure(
    loop: Loop,
    base: DualEncoder,
    tuned: list[Tensor],
    alpha: float,
    known: Mapping[str, Judged],
    reference: ReferenceAnswers | None,
) -> tuple[Candidate, Answered]:
    """A mixture beside the base's answers to what it knows, and what it says to the new domain's validation images."""
    mix(loop.averaged, base, tuned, alpha)
    cosines, batch = loop.validation_cosines()
    said = Answered.of(cosines, float(logit_scale(loop.averaged)), batch)
    new, agreement = float(said.right.mean()), float(said.agreed.mean())
    if alpha == 0 or not known:
        nothing = Drop(dict.fromkeys(known, 0.0), 0.0)
        return Candidate(alpha, new, agreement, nothing, nothing), said
    after: dict[str, Judged] = {**World(loop.clip(), loop.recipe.selection_scenes, SELECTION_SEED).every_answer()}
    if reference and (said_now := loop.reference_answers(loop.clip(), reference)):
        after[REFERENCE_TASK] = said_now
    lost, resampled = losses(known, after)
    at_most = resampled.quantile(CONFIDENCE, dim=0)
    mean_at_most = resampled.mean(dim=1).quantile(CONFIDENCE)
    candidate = Candidate(
        alpha,
        new,
        agreement,
        lost=Drop(dict(zip(known, lost.tolist(), strict=True)), float(lost.mean())),
        at_most=Drop(dict(zip(known, at_most.tolist(), strict=True)), float(mean_at_most)),
    )
    return candidate, said
