"""A run's result: the averaged weights, calibrated and measured, as a checkpoint with its model card."""

from collections.abc import Mapping
from dataclasses import asdict

import torch
from pydantic import JsonValue

from contract.containers import TrainSettings
from model.clip.checkpoint import Calibration, CheckpointMetadata, load_checkpoint, save_checkpoint
from model.clip.encode import Clip
from model.clip.golden import write_golden
from model.evaluation.answers import Answers, as_metrics, result, wrong_above_half
from model.evaluation.bootstrap import change
from model.evaluation.report import print_figures
from model.evaluation.world import World
from model.training.calibrate import fitted_calibration
from model.training.card import recipes, write_card
from model.training.distill import distillation_weight
from model.training.interpolate import Interpolation, interpolate
from model.training.loop import Loop
from model.training.new_domain import UNFITTED, NewDomain
from model.training.replay import pair_share, replay_share
from model.training.win_loss import gain
from model.world.examples import golden_scenes
from model.world.tasks import TASKS


def export(settings: TrainSettings, loop: Loop, before: Mapping[str, float], run_digest: str) -> None:
    """Leave a finished run's model in the model folder, calibrated, measured and described. A fine-tuned one is mixed
    with its base first, as far as its limits of forgetting ask for.
    """
    base = load_checkpoint(settings.start_dir, str(loop.ranks.device)) if adapts(loop) else None
    found = interpolate(loop, base) if base else None
    after = loop.validate()
    world = World(loop.clip(), loop.chosen.evaluation_scenes)
    domain = NewDomain.of(settings.train_dir, loop.chosen) if loop.chosen.data == "channel" else None
    calibration = fitted_calibration(loop, world, found, domain)
    answers = world.every_answer()
    metrics: dict[str, JsonValue] = {"before": dict(before), "after": dict(after)}
    metrics |= _world_metrics(answers, world.clip.logit_scale, calibration)
    metrics["wording"] = {task.name: dict(gap.as_metrics()) for task in TASKS if (gap := world.wording_gap(task))}
    if domain:
        metrics |= domain.metrics(world.clip, calibration, Clip(base) if base else None)
    name = run_digest[:12]
    if base and found:
        name += f"-alpha{found.choice.picked.alpha:g}"
        metrics |= _comparison(base.model.logit_scale.exp().item(), found, answers)
        metrics["gain"] = dict(gain(loop, Clip(base)))
    metadata = _metadata(settings, loop, name, metrics, calibration)
    _save(settings, loop, metadata)
    write_golden(settings.model_dir, loop.clip(), calibration, golden_scenes())
    accuracies = [float(said.right.float().mean()) for said in answers.values()]
    mean = sum(accuracies) / len(accuracies)
    print_figures(exported=settings.model_dir, version=metadata.version, step=loop.step, **after, world_accuracy=mean)


def export_unfinished(settings: TrainSettings, loop: Loop, run_digest: str) -> None:
    """Leave a usable model at once: between a stop signal and the end there is no time to measure anything."""
    metadata = _metadata(settings, loop, f"{run_digest[:12]}-step{loop.step}", {}, Calibration())
    _save(settings, loop, metadata)
    print_figures(stopped=settings.model_dir, version=metadata.version, step=loop.step, steps=loop.steps)


def adapts(loop: Loop) -> bool:
    """Whether a checkpoint was fine-tuned on a new domain, so that there is something old to keep."""
    return loop.chosen.data == "channel" and loop.chosen.init == "base"


def _world_metrics(
    answers: Mapping[str, Answers], logit_scale: float, calibration: Calibration
) -> dict[str, JsonValue]:
    results = {name: result(said, logit_scale, calibration.temperature or UNFITTED) for name, said in answers.items()}
    metrics: dict[str, JsonValue] = {"world": {name: dict(one) for name, one in as_metrics(results).items()}}
    if curve := calibration.multi_label:
        metrics["world_wrong_above_half"] = {name: wrong_above_half(said, curve) for name, said in answers.items()}
    return metrics


def _comparison(base_scale: float, found: Interpolation, answers: Mapping[str, Answers]) -> dict[str, JsonValue]:
    """What the base could do, and what changed."""
    temperature = found.base_calibration.temperature or UNFITTED
    results = {name: result(said, base_scale, temperature) for name, said in found.base_answers.items()}
    changes = {name: asdict(change(said, answers[name])) for name, said in found.base_answers.items()}
    return {
        "world_before": {name: dict(one) for name, one in as_metrics(results).items()},
        "world_change": {name: {key: round(v, 4) for key, v in one.items()} for name, one in changes.items()},
        "interpolation": found.choice.as_metrics(),
    }


def _metadata(
    settings: TrainSettings, loop: Loop, name: str, metrics: dict[str, JsonValue], calibration: Calibration
) -> CheckpointMetadata:
    return CheckpointMetadata(
        version=settings.job_name or f"{loop.chosen.data}-{name}",
        parent=loop.start.parent,
        data_digest=loop.examples.digest(),
        metrics={
            "step": loop.step,
            "hyperparameters": loop.chosen.model_dump(exclude_none=True),
            "given_hyperparameters": loop.chosen.model_dump(exclude_unset=True, exclude_none=True),
            "replay_share": replay_share(loop.chosen, loop.start.base),
            "pair_share": pair_share(loop.chosen, loop.start.base),
            "distillation_weight": distillation_weight(loop.chosen, loop.start.base),
            "base_recipes": recipes(loop.start.base.metrics) if loop.start.base else [],
            "learning_curve": [dict(point) for point in loop.curve],
            **metrics,
        },
        calibration=calibration,
    )


def _save(settings: TrainSettings, loop: Loop, metadata: CheckpointMetadata) -> None:
    """Half precision from scratch and on the world, where the file is committed; else full: training may go on."""
    start, chosen = loop.start, loop.chosen
    dtype = torch.float16 if chosen.init == "scratch" or chosen.data == "world" else torch.float32
    save_checkpoint(settings.model_dir, loop.averaged.model, start.tokenizer, start.processor, metadata, dtype)
    write_card(settings.model_dir, metadata)
