"""A run's result: the averaged weights, calibrated and measured, as a checkpoint with its model card."""

from collections.abc import Mapping

import torch
from pydantic import JsonValue

from model.calibration import fit_calibration
from model.checkpoint import Calibration, CheckpointMetadata, load_checkpoint, save_checkpoint
from model.evaluate import TaskResult, World, as_metrics, calibrate, evaluate, wrong_above_half
from model.settings import TrainSettings
from model.training.card import write_card
from model.training.interpolate import Interpolation, interpolate
from model.training.loop import Loop
from model.training.progress import say
from model.training.replay import replay_share

UNFITTED = 1.0


def export(settings: TrainSettings, loop: Loop, before: Mapping[str, float], run_digest: str) -> None:
    """Leave a finished run's model in the model folder, calibrated, measured and described. A fine-tuned one is mixed
    with its base first, as far as its limits of forgetting ask for.
    """
    found = interpolate(loop, load_checkpoint(settings.start_dir, str(loop.ranks.device))) if adapts(loop) else None
    after = loop.validate()
    world = World(loop.clip(), loop.chosen.evaluation_scenes)
    calibration = _calibration(loop, world, found)
    results = evaluate(world, calibration.temperature or UNFITTED)
    metrics: dict[str, JsonValue] = {
        "before": dict(before),
        "after": dict(after),
        "world": {name: dict(figures) for name, figures in as_metrics(results).items()},
        "world_wrong_above_half": dict(wrong_above_half(world, calibration)),
    }
    name = run_digest[:12]
    if found:
        name += f"-alpha{found.choice.picked.alpha:g}"
        metrics["world_before"] = {name: dict(figures) for name, figures in as_metrics(found.base_results).items()}
        metrics["interpolation"] = found.choice.as_metrics()
    metadata = _metadata(settings, loop, name, metrics, calibration)
    _save(settings, loop, metadata, results, found)
    mean = sum(result.accuracy for result in results.values()) / len(results)
    say(exported=settings.model_dir, version=metadata.version, step=loop.step, **after, world_accuracy=mean)


def export_unfinished(settings: TrainSettings, loop: Loop, run_digest: str) -> None:
    """Leave a usable model at once: between a stop signal and the end there is no time to measure anything."""
    metadata = _metadata(settings, loop, f"{run_digest[:12]}-step{loop.step}", {}, Calibration())
    _save(settings, loop, metadata, {})
    say(stopped=settings.model_dir, version=metadata.version, step=loop.step, steps=loop.steps)


def adapts(loop: Loop) -> bool:
    """Whether a checkpoint was fine-tuned on a new domain, so that there is something old to keep."""
    return loop.chosen.data == "channel" and loop.chosen.init == "base"


def _calibration(loop: Loop, world: World, found: Interpolation | None) -> Calibration:
    """Where nothing new is published, the base's own, so that its answers stay what they were."""
    if loop.chosen.data == "world":
        return calibrate(world)
    if found and found.choice.picked.alpha == 0 and found.base_calibration.temperature is not None:
        return found.base_calibration
    return calibrate_on_validation(loop)


def calibrate_on_validation(loop: Loop) -> Calibration:
    """Fit both calibrations on the validation images and all their sentences."""
    cosines, positives = loop.validation_cosines()
    return fit_calibration(cosines, positives, loop.clip().logit_scale)


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
            "replay_share": replay_share(loop.chosen, loop.start.base),
            **metrics,
        },
        calibration=calibration,
    )


def _save(
    settings: TrainSettings,
    loop: Loop,
    metadata: CheckpointMetadata,
    results: Mapping[str, TaskResult],
    found: Interpolation | None = None,
) -> None:
    """Half precision from scratch, where the file is committed; full precision where training may go on."""
    start, dtype = loop.start, torch.float16 if loop.chosen.init == "scratch" else torch.float32
    save_checkpoint(settings.model_dir, loop.averaged.model, start.tokenizer, start.processor, metadata, dtype)
    write_card(settings.model_dir, metadata, results, loop.chosen, found)
