"""Whole training runs, small ones, under SageMaker's contract."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from contract.hyperparameters import Hyperparameters
from model.clip.checkpoint import load_checkpoint
from model.training.job import main, take_steps
from model.training.loop import Diverged, Loop
from model.training.state import StateFolder
from tests.model.loops import COLOURS, QUICK, tell

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def job(coloured_job: Path) -> Path:
    return coloured_job


def failure(job: Path) -> str:
    return (job / "output/failure").read_text()


def test_a_run_lowers_the_loss_and_its_model_loads_in_stock_transformers(
    job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log_every_steps=4"]) == 0
    losses = [float(loss) for loss in re.findall(r" loss=(\S+)", capsys.readouterr().out)]
    assert losses[-1] < 0.7 * losses[0]
    model, tokenizer = CLIPModel.from_pretrained(job / "model"), AutoTokenizer.from_pretrained(job / "model")
    processor = AutoImageProcessor.from_pretrained(job / "model")
    pixels = processor(images=[Image.new("RGB", (50, 50), c) for c in COLOURS.values()], return_tensors="pt")
    with torch.no_grad():
        scores = model(**tokenizer(list(COLOURS), padding=True, return_tensors="pt"), **pixels).logits_per_image
    assert scores.argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_a_finished_model_says_where_it_comes_from_and_how_good_it_is(job: Path) -> None:
    assert main() == 0
    metadata = load_checkpoint(job / "model").metadata
    assert metadata.parent == "tiny-1" and metadata.version.startswith("channel-")
    assert metadata.calibration.temperature is not None and metadata.calibration.multi_label is not None
    figures = {"before", "after", "world_before", "world", "world_change", "world_wrong_above_half", "learning_curve"}
    recipe = {"step", "hyperparameters", "given_hyperparameters", "replay_share", "interpolation"}
    assert set(metadata.metrics) >= recipe | figures
    card = (job / "model/README.md").read_text()
    assert "fine-tuned from `tiny-1`" in card and "| colour " in card
    assert "Wordsight divides by it and the pipeline above does not" in card
    assert "(learning_curve.svg)" in card and (job / "model/learning_curve.svg").read_text().startswith("<svg ")
    assert [point["step"] for point in metadata.metrics["learning_curve"]] == [0, 24]  # type: ignore[index,union-attr]
    assert list((job / "output/tensorboard").glob("events.*"))


def test_replay_asked_for_is_done_recorded_and_counted_in_the_epochs(job: Path, loop_of: Callable[..., Loop]) -> None:
    assert len(loop_of(replay_share=0.5).examples) == 2 * len(loop_of().examples)
    assert main(["replay_share=0.5", "steps=2"]) == 0
    assert load_checkpoint(job / "model").metadata.metrics["replay_share"] == 0.5


def test_a_training_jobs_name_becomes_the_version(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_JOB_NAME", "wordsight-dev-7")
    assert main(["steps=1"]) == 0
    assert load_checkpoint(job / "model").metadata.version == "wordsight-dev-7"


def test_a_base_channel_takes_the_place_of_the_images_own_base(
    job: Path, calibrated_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SM_CHANNEL_BASE", str(calibrated_checkpoint_dir))
    assert main(["steps=1"]) == 0
    assert load_checkpoint(job / "model").metadata.parent == "tiny-2"


def test_the_world_trains_a_small_model_from_scratch_and_another_run_goes_on_from_it(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_world = ["data=world", "steps=2", "world_images=64", "batch_size=8", "evaluation_scenes=100", "threads=1"]
    assert main([*small_world, "init=scratch"]) == 0
    monkeypatch.setenv("SM_CHANNEL_BASE", str(job / "model"))
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path / "second"))
    assert main([*small_world, "init=base", "lock_image=true", "pair_share=0.5"]) == 0
    first, second = load_checkpoint(job / "model"), load_checkpoint(tmp_path / "second/model")
    assert (tmp_path / "second/model/model.safetensors").stat().st_size < 8_000_000
    assert first.metadata.parent is None and "world" in first.metadata.metrics
    kept, learnt = first.model.vision_model.state_dict(), second.model.vision_model.state_dict()
    assert all(torch.equal(kept[name], learnt[name]) for name in kept)
    assert second.metadata.parent == first.metadata.version and second.metadata.metrics["pair_share"] == 0.5
    assert 0 <= second.metadata.metrics["after"]["validation_accuracy"] <= 1  # type: ignore[index,call-overload,operator]
    card = (tmp_path / "second/model/README.md").read_text()
    assert card.index("init=scratch") < card.index("init=base") and "trained from scratch" in card


def test_every_bad_hyperparameter_is_named_with_what_is_allowed(job: Path) -> None:
    tell(job, {"batch_size": "many", "epochs": "0", "learning_rat": "0.1"})
    assert main() == 1
    for words in ("batch_size is 'many'", "epochs is '0'", "greater than or equal to 1", "'learning_rat' is no"):
        assert words in failure(job)
    assert failure(job).count("\n") == 1


def test_help_lists_every_hyperparameter(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {name}=" in printed for name in Hyperparameters.model_fields)


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [("input/data/train/manifest.jsonl", "no *.jsonl manifest"), ("input/data/train/7.png", "1 of 40 images")],
)
def test_what_is_wrong_with_the_data_stands_in_the_failure_file(job: Path, missing: str, sentence: str) -> None:
    (job / missing).unlink()
    assert main() == 1
    assert sentence in failure(job)


def test_a_few_unreadable_images_are_left_out_and_listed(job: Path) -> None:
    (job / "input/data/train/7.png").write_bytes(b"")
    assert main(["max_unreadable_share=0.05", "steps=1"]) == 0
    (line,) = (job / "output/data/quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["image"] == "7.png"


@pytest.mark.parametrize(("optimizer", "replay_share"), [("adamw", 0.0), ("muon", 0.0), ("adamw", 0.5)])
def test_a_resumed_run_ends_in_the_very_same_weights(
    job: Path, loop_of: Callable[..., Loop], optimizer: str, replay_share: float
) -> None:
    whole, broken, resumed = (loop_of(optimizer=optimizer, replay_share=replay_share) for _ in range(3))
    for _ in range(12):
        whole.take_step()
    for _ in range(6):
        broken.take_step()
    states = StateFolder(job / "checkpoints", "run")
    states.save(broken.step, broken.state())
    resumed.resume(states.newest())
    for _ in range(6):
        resumed.take_step()
    for ours, theirs in ((whole.model, resumed.model), (whole.averaged.model, resumed.averaged.model)):
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_a_small_dataset_takes_smaller_batches_and_still_three_hundred_steps(loop_of: Callable[..., Loop]) -> None:
    loop = loop_of(batch_size=64, steps=None, epochs=1)
    assert (loop.global_batch, loop.steps) == (36, 300)


@pytest.mark.parametrize(("gradient", "scale"), [(-1.0, 100.0), (1.0, 1.0)])
def test_the_scale_stays_between_one_and_a_hundred(loop_of: Callable[..., Loop], gradient: float, scale: float) -> None:
    loop = loop_of(learning_rate=1.0, warmup_steps=0, cooldown_share=0)
    loop.model.logit_scale.register_hook(lambda given: torch.full_like(given, gradient))
    for _ in range(4):
        loop.take_step()
    assert loop.scale == pytest.approx(scale, rel=1e-5)


def test_the_sigmoid_loss_leaves_a_plain_model_that_tells_things_apart(
    job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["loss=sigmoid", "log_every_steps=4", "max_forgetting=1", "max_task_forgetting=1"]) == 0
    losses = [float(loss) for loss in re.findall(r" loss=(\S+)", capsys.readouterr().out)]
    assert losses[-1] < 0.7 * losses[0]
    model, tokenizer = CLIPModel.from_pretrained(job / "model"), AutoTokenizer.from_pretrained(job / "model")
    pixels = AutoImageProcessor.from_pretrained(job / "model")(
        images=[Image.new("RGB", (50, 50), colour) for colour in COLOURS.values()], return_tensors="pt"
    )
    with torch.no_grad():
        scores = model(**tokenizer(list(COLOURS), padding=True, return_tensors="pt"), **pixels).logits_per_image
    assert scores.argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_a_loss_that_is_no_number_is_skipped_and_ends_the_run_when_it_stays(loop_of: Callable[..., Loop]) -> None:
    loop = loop_of()
    with torch.no_grad():
        loop.model.logit_scale.fill_(float("nan"))
    weights = [weight.clone() for weight in loop.model.visual_projection.parameters()]
    with pytest.raises(Diverged, match="lower learning_rate"):
        for _ in range(20):
            loop.take_step()
    assert loop.step == 9
    assert all(torch.equal(a, b) for a, b in zip(weights, loop.model.visual_projection.parameters(), strict=True))


def test_a_gradient_that_is_no_number_is_skipped_and_no_state_is_saved_until_it_is_one(
    job: Path, loop_of: Callable[..., Loop]
) -> None:
    loop = loop_of(steps=4, checkpoint_every_s=0, evaluate_every_steps=100)
    states = StateFolder(job / "checkpoints", "run")
    weights = [weight.clone() for weight in loop.averaged.model.parameters()]
    hook = loop.model.visual_projection.weight.register_hook(lambda gradient: gradient * float("inf"))
    loss = loop.take_step()
    assert math.isfinite(loss) and (loop.step, loop.bad_steps) == (1, 1)
    for model in (loop.model, loop.averaged.model):
        assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    stop = Event()
    stop.set()
    take_steps(loop, states, stop)
    assert (loop.step, loop.bad_steps, states.newest()) == (2, 2, None)
    hook.remove()
    take_steps(loop, states, stop)
    newest = states.newest()
    assert loop.bad_steps == 0 and newest is not None and newest[0] == 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_expected_and_absent_stands_in_the_failure_file(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPECT_GPU", "1")
    assert main() == 1
    assert failure(job).startswith("a GPU is expected") and "a training job" in failure(job)


def test_a_mounted_base_channel_needs_no_environment(job: Path, calibrated_checkpoint_dir: Path) -> None:
    shutil.copytree(calibrated_checkpoint_dir, job / "input/data/base")
    assert main(["steps=1"]) == 0
    assert load_checkpoint(job / "model").metadata.parent == "tiny-2"


def test_a_stop_signal_while_the_result_is_measured_ends_the_run_with_what_was_learnt(job: Path) -> None:
    command = [sys.executable, "-m", "model.training", "train"]
    tell(job, {**QUICK, "steps": "1", "threads": "1", "selection_scenes": "10000"})
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as run:
        assert run.stdout is not None
        assert any("validation_accuracy=" in line for line in run.stdout)
        run.send_signal(signal.SIGTERM)
        rest = run.stdout.read()
    assert (run.returncode, "stopped=" in rest, "alpha=" in rest) == (0, True, False)
    assert load_checkpoint(job / "model").metadata.metrics["step"] == 1


def test_a_stop_signal_leaves_a_usable_model_and_the_next_start_goes_on(job: Path) -> None:
    command = [sys.executable, "-m", "model.training", "train"]
    tell(job, {**QUICK, "steps": "100000", "threads": "1"})
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as run:
        assert run.stdout is not None
        seen = next(line for line in run.stdout if line.startswith("step="))
        run.send_signal(signal.SIGTERM)
        rest = run.stdout.read()
    assert run.returncode == 0 and seen and "stopped=" in rest
    checkpoint = load_checkpoint(job / "model")
    step = checkpoint.metadata.metrics["step"]
    assert f"step{step}" in checkpoint.metadata.version
    newest = next(iter(sorted((job / "checkpoints").glob("*.json"), reverse=True)))
    assert json.loads(newest.read_text())["step"] == step
