"""A run's result: the averaged weights, calibrated and measured, as a checkpoint with its model card."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from contract.checkpoints import Calibration, CheckpointMetadata
from contract.containers import TrainSettings
from contract.metrics import Metrics, Validation
from contract.model_cards import MAX_KNOWS_CHARS, ModelCard
from contract.models import GOLDEN
from contract.reports import REPORT, REPORT_PAGE
from model.clip.cards import checkpoint_card
from model.clip.checkpoint import load_checkpoint, save_checkpoint
from model.clip.golden import write_golden
from model.evaluation.answers import mean_accuracy
from model.evaluation.report import print_figures
from model.evaluation.world import World
from model.training.card import write_card
from model.training.interpolate import interpolate
from model.training.loop import Loop
from model.training.measure import (
    NewDomain,
    fitted_calibration,
    measure_new_domain,
    measure_old,
    measure_reference,
    measure_world,
)
from model.training.progress import ProgressFile
from model.training.report.gather import Asked, captioned, labelled, report_of
from model.training.report.page import write_report
from model.world.examples import golden_scenes

WORLD = ModelCard(
    knows="This model knows drawings of a small world that Wordsight renders: shapes, simple things, colours, numbers "
    "and places. It has never seen a photograph.",
    languages=["en"],
    licence="MIT",
)
SHOWN_LABELS = 8
"""By name; of the others it is only said that there are some."""


class Stopped(Exception):
    """The stop signal came after the last step."""


@contextmanager
def ended_by(stop: Event) -> Iterator[None]:
    """Raise Stopped when a model is next asked, once the stop signal has come: what takes minutes and changes no weight
    need not be finished. The signal's handler itself must not raise: between an opened file and its `with` the file
    would stay open, and where Python ignores exceptions (a destructor, a callback) the stop would be lost.
    """

    def end_if_stopped(*_: object) -> None:
        if stop.is_set():
            raise Stopped

    asked = register_module_forward_pre_hook(end_if_stopped)
    try:
        yield
    finally:
        asked.remove()


def export(
    settings: TrainSettings,
    loop: Loop,
    before: Mapping[str, float],
    run_digest: str,
    told: ProgressFile,
    stop: Event,
) -> None:
    """Leave a finished run's model in the model folder, calibrated, measured and described. A fine-tuned one is mixed
    with its base first, as far as its limits of forgetting ask for. Raises Stopped, and leaves nothing, if `stop` is
    set before all is measured.
    """
    recipe, name = loop.recipe, run_digest[:12]
    on_channel = recipe.data == "channel"
    adapts = on_channel and recipe.init == "base"  # so that there is something old to keep
    with ended_by(stop):
        selected = (
            interpolate(loop, load_checkpoint(settings.start_dir, str(loop.ranks.device)), told) if adapts else None
        )
        told.enter("evaluating")
        after = loop.validate()
        world = World(loop.clip(), recipe.evaluation_scenes)
        domain = NewDomain.of(settings.train_dir, recipe) if on_channel else None
        calibration = fitted_calibration(loop, world, selected, domain)
        metrics = _run_metrics(loop)
        metrics.before, metrics.after = Validation.model_validate(before), Validation.model_validate(after)
        answers = world.every_answer()
        measure_world(metrics, world, answers, calibration, selected)
        measure_reference(metrics, loop, world.clip, selected)
        measure_old(metrics, loop, world.clip, calibration, selected)
        asked: list[Asked] = []
        if domain:
            said = measure_new_domain(metrics, domain, world.clip, calibration, selected.base if selected else None)
            asked = labelled(domain, said)
        elif on_channel:
            asked = [captioned(loop)]
    if selected:
        name += f"-alpha{selected.alpha:g}"
        metrics.interpolation = selected.metrics
        metrics.gain = selected.gain
    labels = [label for task in domain.tasks for label in task.labels] if domain else []
    is_new = selected is None or selected.alpha > 0
    metadata = _save(settings, loop, name, metrics, calibration, labels, is_new=is_new)
    scale = world.clip.logit_scale / (calibration.temperature or 1.0)
    write_report(settings.model_dir, report_of(metadata, asked, scale, told.points))
    write_golden(settings.model_dir, loop.clip(), calibration, golden_scenes())
    mean = mean_accuracy(answers.values())
    print_figures(exported=settings.model_dir, version=metadata.version, step=loop.step, **after, world_accuracy=mean)
    print(f"report: {settings.model_dir / REPORT_PAGE}", flush=True)


def export_unfinished(settings: TrainSettings, loop: Loop, run_digest: str) -> None:
    """Leave a usable model at once: between a stop signal and the end there is no time to measure anything. What an
    earlier run has measured is of other weights, and goes.
    """
    for measured in (REPORT, REPORT_PAGE, GOLDEN):
        (settings.model_dir / measured).unlink(missing_ok=True)
    name = f"{run_digest[:12]}-step{loop.step}"
    metadata = _save(settings, loop, name, _run_metrics(loop), Calibration())
    print_figures(stopped=settings.model_dir, version=metadata.version, step=loop.step, steps=loop.recipe.steps)


def _run_metrics(loop: Loop) -> Metrics:
    """What was done, before anything is measured."""
    recipe = loop.recipe
    metrics = Metrics(
        step=loop.step,
        hyperparameters=recipe.asked.model_dump(exclude_none=True),
        given_hyperparameters=recipe.asked.model_dump(exclude_unset=True, exclude_none=True),
        replay_share=recipe.replay_share,
        reference_share=recipe.reference_share,
        pair_share=recipe.pair_share,
        distillation_weight=recipe.distillation_weight,
        precision=None if loop.bf16 is None else "bf16" if loop.bf16 else "fp32",
        base_recipes=recipe.base_recipes,
        learning_curve=[Validation.model_validate(point) for point in loop.curve],
    )
    if loop.strategy:
        metrics.strategy = loop.strategy
    return metrics


def _save(
    settings: TrainSettings,
    loop: Loop,
    name: str,
    metrics: Metrics,
    calibration: Calibration,
    labels: Sequence[str] = (),
    *,
    is_new: bool = True,
) -> CheckpointMetadata:
    """Write the checkpoint and its card, and return what it says of itself. Half precision from scratch and on the
    world, where the file is committed; else full: training may go on.
    """
    recipe, checkpoint = loop.recipe, loop.checkpoint
    metadata = CheckpointMetadata(
        version=settings.job_name or f"{recipe.data}-{name}",
        **_card(settings, loop, labels, is_new=is_new).model_dump(),
        parent=recipe.parent,
        data_digest=loop.examples.digest(),
        metrics=metrics.to_json(),
        calibration=calibration,
    )
    dtype = torch.float16 if recipe.init == "scratch" or recipe.data == "world" else torch.float32
    save_checkpoint(settings.model_dir, loop.averaged, checkpoint.tokenizer, checkpoint.processor, metadata, dtype)
    write_card(settings.model_dir, metadata)
    return metadata


def _card(settings: TrainSettings, loop: Loop, labels: Sequence[str], *, is_new: bool) -> ModelCard:
    """What the run's model knows: what its base does, and what this run has shown it, unless its weights are the
    base's.
    """
    recipe = loop.recipe
    base = checkpoint_card(settings.start_dir) if recipe.init == "base" else None
    if base is not None and not is_new:
        return base
    if recipe.data == "world":
        return WORLD if base is None or base == WORLD else base.taught("It was fine-tuned on drawings too.")
    many = " …" if len(labels) > SHOWN_LABELS else ""
    shown = f" with the labels {', '.join(labels[:SHOWN_LABELS])}{many}" if labels else ""
    images = f"images of a dataset of its own{shown}."
    if base is None:
        return ModelCard(knows=f"This model was trained from scratch on {images}"[:MAX_KNOWS_CHARS])
    return base.taught(f"It was fine-tuned on {images}")
