"""After fine-tuning: measure the weights between the base checkpoint and the tuned one, and keep the best allowed.

The old tasks are the rendered world's, on images of their own, which neither training nor the reported figures use.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import CLIPModel

from model.checkpoint import Calibration, Checkpoint
from model.evaluate import TaskResult, World, evaluate
from model.inference import Clip
from model.training.loop import Loop
from model.training.progress import say
from model.training.selector import ALPHAS, Candidate, Choice, base_of, drop, select
from model.world.tasks import TASKS

SELECTION_SEED = 2_000_003
LEARNT_ABOVE_CHANCE = 0.15
"""A base that is nearer to chance at a task has not learnt it, and can't forget it: differences there are luck."""


@dataclass(frozen=True)
class Interpolation:
    """What was chosen, and what the base can do on the images that the result is reported on."""

    choice: Choice
    base_results: Mapping[str, TaskResult]
    base_calibration: Calibration


def interpolate(loop: Loop, base: Checkpoint) -> Interpolation:
    """Measure the frontier, leave the chosen weights in `loop.averaged`, and say what was decided."""
    clip = Clip(base)
    base_results = evaluate(World(clip, loop.chosen.evaluation_scenes), clip.calibration.temperature or 1.0)
    model = loop.averaged.model
    tuned = [weight.clone() for weight in model.parameters()]
    first = _measure(loop, base.model, tuned, ALPHAS[0], None)
    frontier = [first, *(_measure(loop, base.model, tuned, alpha, first.old) for alpha in ALPHAS[1:])]
    choice = select(frontier, loop.chosen.max_forgetting, loop.chosen.max_task_forgetting)
    mix(model, base.model, tuned, choice.picked.alpha)
    _report(choice)
    return Interpolation(choice, base_results, clip.calibration)


@torch.no_grad()
def mix(model: CLIPModel, base: CLIPModel, tuned: list[Tensor], alpha: float) -> None:
    """Set the model's weights to (1 - alpha) * base + alpha * tuned; exact at both ends."""
    for weight, old, new in zip(model.parameters(), base.parameters(), tuned, strict=True):
        weight.copy_(torch.lerp(old.to(new.device), new, alpha))


def _measure(
    loop: Loop, base: CLIPModel, tuned: list[Tensor], alpha: float, known: Mapping[str, float] | None
) -> Candidate:
    """Accuracies of a mixture, at the tasks that are known or else those that it answers better than by chance."""
    mix(loop.averaged.model, base, tuned, alpha)
    results = evaluate(World(loop.clip(), loop.chosen.evaluation_scenes, SELECTION_SEED), 1.0, TASKS)
    old = {
        name: result.accuracy
        for name, result in results.items()
        if (result.accuracy >= result.chance + LEARNT_ABOVE_CHANCE if known is None else name in known)
    }
    return Candidate(alpha, loop.validate()["validation_accuracy"], old)


def _report(choice: Choice) -> None:
    base = base_of(choice.frontier)
    for candidate in choice.frontier:
        lost = drop(base, candidate)
        say(
            alpha=candidate.alpha,
            new_accuracy=candidate.new,
            mean_drop=lost.mean,
            worst_drop=lost.worst,
            worst_task=lost.worst_task,
        )
    print(choice.sentence, flush=True)
