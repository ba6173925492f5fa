"""What a run leaves: a checkpoint that says where it comes from and how good it is."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from contract.checkpoints import CheckpointMetadata
from contract.metrics import Metrics
from contract.model_cards import UNKNOWN, UNKNOWN_LICENCE
from contract.models import GOLDEN, METADATA
from contract.progress import TrainingProgress
from contract.reports import MAX_REPORT_BYTES, Report
from lambdas.gate.verdict import judge
from model.clip.folder import load_metadata
from model.training.job import main
from model.training.loop import Loop
from model.training.state import StateFolder
from tests.model.loops import COLOURS, QUICK, exported, lay_out_job


class Finished(NamedTuple):
    """A job that came to its end: its folder, what it printed, and what stands in its checkpoint."""

    base_dir: Path
    printed: str
    metadata: CheckpointMetadata
    metrics: Metrics


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, checkpoint_dir: Path) -> Iterator[Finished]:
    """Of the job that teaches four colours to the tiny CLIP, at a terminal. Read it only: all tests here share it."""
    laid_out, base_dir, printed = tmp_path_factory.mktemp("job"), tmp_path_factory.mktemp("finished run"), StringIO()
    lay_out_job(laid_out, {})
    folders = ["--data", str(laid_out / "input/data/train"), f"--base={checkpoint_dir}", "--out", str(base_dir)]
    told = [f"{name}={value}" for name, value in {**QUICK, "log_every_steps": "4", "evaluate_every_steps": "8"}.items()]
    with redirect_stdout(printed):
        assert main([told[0], *folders, *told[1:]]) == 0
    metadata = load_metadata(base_dir / "model")
    yield Finished(base_dir, printed.getvalue(), metadata, Metrics.of(metadata.metrics))


def tells_the_colours_apart(directory: Path) -> bool:
    """By stock transformers."""
    model, tokenizer = CLIPModel.from_pretrained(directory), AutoTokenizer.from_pretrained(directory)
    processor = AutoImageProcessor.from_pretrained(directory)
    pixels = processor(images=[Image.new("RGB", (50, 50), c) for c in COLOURS.values()], return_tensors="pt")
    with torch.no_grad():
        scores = model(**tokenizer(list(COLOURS), padding=True, return_tensors="pt"), **pixels).logits_per_image
    return scores.argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_a_run_lowers_the_loss_and_its_model_loads_in_stock_transformers(finished: Finished) -> None:
    losses = [float(loss) for loss in re.findall(r" loss=(\S+)", finished.printed)]
    assert losses[-1] < 0.7 * losses[0]
    assert tells_the_colours_apart(finished.base_dir / "model")


def test_what_is_fine_tuned_knows_what_its_base_does_and_what_it_was_shown(finished: Finished) -> None:
    card = finished.metadata.card()
    assert card.knows.startswith(UNKNOWN) and "It was fine-tuned on images of a dataset of its own" in card.knows
    assert card.knows in (finished.base_dir / "model/README.md").read_text()
    assert card.licence == UNKNOWN_LICENCE


@pytest.mark.slow
def test_the_sigmoid_loss_leaves_a_plain_model_that_tells_things_apart(
    coloured_job: Path, loop_of: Callable[..., Loop]
) -> None:
    loop = loop_of(loss="sigmoid")
    losses = [loop.take_step() for _ in range(loop.recipe.steps)]
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])
    exported(loop)
    assert tells_the_colours_apart(coloured_job / "model")


def test_a_finished_model_says_where_it_comes_from_and_how_good_it_is(finished: Finished) -> None:
    metadata, metrics = finished.metadata, finished.metrics
    assert metadata.parent == "tiny-1" and metadata.version.startswith("channel-")
    assert None not in metadata.calibration.model_dump().values()
    figures = {"before", "after", "world_before", "world", "world_change", "world_wrong_above_half", "learning_curve"}
    recipe = {"step", "hyperparameters", "given_hyperparameters", "replay_share", "interpolation"}
    assert set(metadata.metrics) >= recipe | figures
    assert metrics.learning_curve is not None and [point.step for point in metrics.learning_curve] == [0, 8, 16, 24]
    card = (finished.base_dir / "model/README.md").read_text()
    assert "fine-tuned from `tiny-1`" in card and "| colour " in card
    assert "Wordsight divides by it and the pipeline above does not" in card
    assert "(learning_curve.svg)" in card
    assert (finished.base_dir / "model/learning_curve.svg").read_text().startswith("<svg ")
    assert list((finished.base_dir / "output/tensorboard").glob("events.*"))


def test_it_leaves_a_report_of_what_its_checkpoint_says(finished: Finished) -> None:
    report = Report.model_validate_json((finished.base_dir / "model/report.json").read_bytes())
    metrics = finished.metrics
    assert metrics.before is not None and metrics.after is not None and metrics.interpolation is not None
    assert (report.version, report.parent) == (finished.metadata.version, "tiny-1")
    assert report.accuracy_before == metrics.before.validation_accuracy
    assert report.accuracy_after == metrics.after.validation_accuracy
    assert [point.step for point in report.history] == [0, 4, 8, 12, 16, 20, 24]
    alphas = [(mixture.alpha, mixture.accuracy) for mixture in report.frontier]
    assert alphas == [(point.alpha, point.new) for point in metrics.interpolation.frontier or ()]
    assert [mixture.alpha for mixture in report.frontier if mixture.published] == [metrics.interpolation.alpha]
    assert report.recipe["steps"] == 24
    assert [task.kind for task in report.tasks] == ["old"] * len(metrics.world or {})
    wrong = round(4 * (1 - (report.accuracy_after or 0)))
    assert len(report.mistakes) == wrong and sum(each.images for each in report.calibration) == 4
    html = (finished.base_dir / "model/report.html").read_text()
    assert finished.metadata.version in html and len(html) < MAX_REPORT_BYTES


def test_at_a_terminal_its_phases_its_curves_and_its_report_are_told(finished: Finished) -> None:
    printed = finished.printed.splitlines()
    phases = [line.removeprefix("phase=") for line in printed if line.startswith("phase=")]
    assert phases == ["reading", "training", "choosing", "evaluating"]
    assert f"curves: tensorboard --logdir '{finished.base_dir}/output/tensorboard'" in printed
    assert printed[-1] == f"report: {finished.base_dir}/model/report.html"
    told = TrainingProgress.read((finished.base_dir / "checkpoints/progress.json").read_bytes())
    assert told is not None and (told.phase, told.step, told.steps) == ("evaluating", 24, 24)
    assert [point.step for point in told.history if point.accuracy is not None] == [0, 8, 16, 24]
    assert all(point.loss is not None for point in told.history[1:]) and told.history[0].loss is None
    states = StateFolder(finished.base_dir / "checkpoints", "", force=True)
    assert states.newest() is not None  # beside which the file of progress is taken for none


def test_all_of_its_metrics_are_typed_and_none_is_lost(finished: Finished) -> None:
    """Byte by byte: a figure that contract/metrics.py can't read would be missing."""
    written = json.loads((finished.base_dir / "model" / METADATA).read_bytes())["metrics"]
    assert finished.metrics.to_json() == written
    assert all(None not in figures.values() for figures in written["world"].values())
    assert len(written["world"]["colour"]) == 6


def test_it_leaves_its_wins_and_losses_and_its_golden_questions(finished: Finished) -> None:
    gain, interpolation, after = finished.metrics.gain, finished.metrics.interpolation, finished.metrics.after
    assert gain is not None and gain.images == 4 and gain.won is not None and gain.lost is not None
    assert interpolation is not None and interpolation.frontier and after is not None
    accuracies = interpolation.frontier[0].new, after.validation_accuracy
    assert accuracies[0] is not None and accuracies[1] is not None
    assert gain.won - gain.lost == round(4 * (accuracies[1] - accuracies[0]))
    assert (finished.base_dir / "model" / GOLDEN).is_file()


def test_the_gate_judges_it_by_figures_that_it_finds(finished: Finished) -> None:
    """What training writes is what lambdas/gate reads, name by name. Four images are too few to be sure of anything."""
    gate = judge(finished.metadata.metrics)
    assert finished.metrics.gain is not None and finished.metrics.interpolation is not None
    expected = {**finished.metrics.gain.model_dump(), "alpha": finished.metrics.interpolation.alpha, "old_tasks": 0}
    assert {name: gate.figures[name] for name in expected} == expected
    assert len(gate.reasons) == 2
    assert "nothing to do with what is true" in gate.reasons[0] and "not better than its base" in gate.reasons[1]


def test_replay_that_was_done_is_recorded(loop_of: Callable[..., Loop]) -> None:
    assert exported(loop_of(replay_share=0.5)).replay_share == 0.5


def test_a_training_jobs_name_becomes_the_version(
    coloured_job: Path, loop_of: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_JOB_NAME", "wordsight-dev-7")
    exported(loop_of())
    assert load_metadata(coloured_job / "model").version == "wordsight-dev-7"


@pytest.mark.slow
def test_the_world_trains_a_small_model_from_scratch_and_another_run_goes_on_from_it(
    coloured_job: Path, tmp_path: Path, loop_of: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_world = {"data": "world", "steps": 2, "world_images": 64, "evaluation_scenes": 100}
    loop = loop_of(**small_world, init="scratch", learning_rate=None)
    loop.take_step()
    exported(loop)
    first = load_metadata(coloured_job / "model")
    kept = CLIPModel.from_pretrained(coloured_job / "model").vision_model.state_dict()
    monkeypatch.setenv("SM_CHANNEL_BASE", str(coloured_job / "model"))
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path / "second"))
    told = {**QUICK, **small_world, "init": "base", "lock_image": "true", "pair_share": 0.5}
    assert main([f"{name}={value}" for name, value in told.items()]) == 0
    directory = tmp_path / "second/model"
    second, metrics = load_metadata(directory), Metrics.of(load_metadata(directory).metrics)
    assert (directory / "model.safetensors").stat().st_size < 8_000_000
    learnt = CLIPModel.from_pretrained(directory).vision_model.state_dict()
    assert all(torch.equal(kept[name], learnt[name]) for name in kept)
    assert first.parent is None and second.parent == first.version
    assert metrics.world is not None and metrics.pair_share == 0.5
    assert metrics.after is not None and metrics.after.validation_accuracy is not None
    assert 0 <= metrics.after.validation_accuracy <= 1
    card = (directory / "README.md").read_text()
    assert card.index("init=scratch") < card.index("init=base") and "trained from scratch" in card
