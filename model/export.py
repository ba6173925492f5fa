"""A run's result: the averaged weights, calibrated and measured, as a checkpoint with its model card."""

from collections.abc import Mapping

import torch
from pydantic import JsonValue

from model.batch import Examples
from model.calibration import fit_multi_label, fit_temperature
from model.card import write_card
from model.checkpoint import Calibration, CheckpointMetadata, save_checkpoint
from model.evaluate import SCENES, World, as_metrics, calibrate, evaluate
from model.loop import Loop
from model.progress import say
from model.settings import Hyperparameters, TrainSettings

FINE_TUNED_SCENES = 600
UNFITTED = 1.0


def export(
    settings: TrainSettings,
    chosen: Hyperparameters,
    examples: Examples,
    loop: Loop,
    before: Mapping[str, float],
    run_digest: str,
) -> None:
    """Leave the model artifact in the model folder; half precision for a model that was started from scratch."""
    start, model = loop.start, loop.averaged.model
    after = loop.validate()
    world = World(model, start.tokenizer, start.processor, SCENES if chosen.data == "world" else FINE_TUNED_SCENES)
    calibration = calibrate(world) if chosen.data == "world" else calibrate_on_validation(loop)
    results = evaluate(world, calibration.temperature or UNFITTED)
    metrics: dict[str, JsonValue] = {
        "steps": loop.step,
        "before": dict(before),
        "after": dict(after),
        "world": {name: dict(figures) for name, figures in as_metrics(results).items()},
        "hyperparameters": chosen.model_dump(exclude_none=True),
    }
    metadata = CheckpointMetadata(
        version=settings.job_name or f"{chosen.data}-{run_digest[:12]}",
        parent=start.parent,
        data_digest=examples.digest(),
        metrics=metrics,
        calibration=calibration,
    )
    dtype = torch.float16 if chosen.init == "scratch" else torch.float32
    save_checkpoint(settings.model_dir, model, start.tokenizer, start.processor, metadata, dtype)
    write_card(settings.model_dir, metadata, results, chosen)
    mean = sum(result.accuracy for result in results.values()) / len(results)
    say(exported=settings.model_dir, version=metadata.version, step=loop.step, **after, world_accuracy=mean)


def calibrate_on_validation(loop: Loop) -> Calibration:
    """Fit both calibrations on the validation images, each asked for its first true sentence among all of them."""
    cosines, positives = loop.validation_cosines()
    logits = cosines * loop.averaged.model.logit_scale.exp().cpu()
    temperature = fit_temperature([(logits, positives.int().argmax(dim=1))])
    return Calibration(temperature=temperature, multi_label=fit_multi_label(cosines.flatten(), positives.flatten()))
