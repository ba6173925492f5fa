"""After fine-tuning: measure the weights between the base checkpoint and the tuned one, and keep the best allowed.

The old tasks are the rendered world's, on images of their own, which neither training nor the reported figures use.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import CLIPModel

from model.clip.checkpoint import Calibration, Checkpoint
from model.clip.encode import Clip
from model.evaluation.answers import Answers
from model.evaluation.bootstrap import CONFIDENCE, losses
from model.evaluation.report import print_figures
from model.evaluation.world import World
from model.training.loop import Loop
from model.training.selector import ALPHAS, Candidate, Choice, Drop, select

SELECTION_SEED = 2_000_003
LEARNT_ABOVE_CHANCE = 0.15
"""A base that is nearer to chance at a task has not learnt it, and can't forget it: differences there are luck."""


@dataclass(frozen=True)
class Interpolation:
    """What was chosen, the tasks that count as old, and the base: its answers to what the result is reported on, and
    how they were calibrated.
    """

    choice: Choice
    known: frozenset[str]
    base_answers: Mapping[str, Answers]
    base_calibration: Calibration


def interpolate(loop: Loop, base: Checkpoint) -> Interpolation:
    """Measure the frontier, leave the chosen weights in `loop.averaged`, and print_figures what was decided."""
    started_s = time.monotonic()
    clip = Clip(base)
    model = loop.averaged.model
    tuned = [weight.clone() for weight in model.parameters()]
    known = learnt(World(clip, loop.chosen.selection_scenes, SELECTION_SEED).every_answer())
    frontier = [_measure(loop, base.model, tuned, alpha, known) for alpha in ALPHAS]
    choice = select(frontier, loop.chosen.max_forgetting, loop.chosen.max_task_forgetting)
    mix(model, base.model, tuned, choice.picked.alpha)
    _report(choice, time.monotonic() - started_s)
    return Interpolation(
        choice, frozenset(known), World(clip, loop.chosen.evaluation_scenes).every_answer(), clip.calibration
    )


@torch.no_grad()
def mix(model: CLIPModel, base: CLIPModel, tuned: list[Tensor], alpha: float) -> None:
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


def _measure(loop: Loop, base: CLIPModel, tuned: list[Tensor], alpha: float, known: Mapping[str, Answers]) -> Candidate:
    """A mixture beside the base's answers to what it knows."""
    mix(loop.averaged.model, base, tuned, alpha)
    new = loop.validate()["validation_accuracy"]
    if alpha == 0 or not known:
        nothing = Drop(dict.fromkeys(known, 0.0), 0.0)
        return Candidate(alpha, new, nothing, nothing)
    after = World(loop.clip(), loop.chosen.selection_scenes, SELECTION_SEED).every_answer()
    lost, resampled = losses(known, after)
    at_most = resampled.quantile(CONFIDENCE, dim=0)
    mean_at_most = resampled.mean(dim=1).quantile(CONFIDENCE)
    return Candidate(
        alpha,
        new,
        lost=Drop(dict(zip(known, lost.tolist(), strict=True)), float(lost.mean())),
        at_most=Drop(dict(zip(known, at_most.tolist(), strict=True)), float(mean_at_most)),
    )


def _report(choice: Choice, selection_s: float) -> None:
    for candidate in choice.frontier:
        print_figures(
            alpha=candidate.alpha,
            new_accuracy=candidate.new,
            mean_drop=candidate.lost.mean,
            mean_drop_at_most=candidate.at_most.mean,
            worst_drop_at_most=candidate.at_most.worst,
            worst_task=candidate.at_most.worst_task,
        )
    print_figures(selected=choice.picked.alpha, selection_s=selection_s)
    print(choice.sentence, flush=True)
