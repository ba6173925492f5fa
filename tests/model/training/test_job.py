"""The training job under SageMaker's contract: what it is told, when it stops, and what it says when it fails."""

import math
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest
import torch

from contract.hyperparameters import Hyperparameters
from contract.metrics import Metrics
from contract.models import GOLDEN
from contract.reports import REPORT, REPORT_PAGE
from model.clip.checkpoint import load_checkpoint
from model.training.job import main, take_steps
from model.training.loop import Diverged, Loop
from model.training.state import StateFolder
from tests.model.loops import QUICK, tell
from tests.small_disk import needs_a_small_disk, run_on_a_small_disk


@pytest.fixture
def job(coloured_job: Path) -> Path:
    return coloured_job


def failure(job: Path) -> str:
    return (job / "output/failure").read_text()


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
    ("arguments", "said"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--base", "nowhere"], "nowhere"),
        (["epochs=0"], "epochs is '0'"),
        (["epochs"], "epochs is ''"),
    ],
)
def test_what_a_terminal_names_wrongly_is_told_in_a_sentence(
    job: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert said in capsys.readouterr().err and said in failure(job)


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [("input/data/train/manifest.jsonl", "no *.jsonl manifest"), ("input/data/train/7.png", "1 of 40 images")],
)
def test_what_is_wrong_with_the_data_stands_in_the_failure_file(job: Path, missing: str, sentence: str) -> None:
    (job / missing).unlink()
    assert main() == 1
    assert sentence in failure(job)


@pytest.mark.slow
@needs_a_small_disk
def test_a_full_disk_is_called_that_whatever_the_library_says(job: Path) -> None:
    program = [sys.executable, "-m", "model.training"]
    done = run_on_a_small_disk(job, 600_000, program, {**os.environ, "SAGEMAKER_BASE_DIR": str(job)})
    assert done.returncode == 1
    assert "the disk is full" in done.stderr.splitlines()[-1], done.stderr
    assert "training_volume_gb" in done.stderr.splitlines()[-1]


def test_a_name_that_is_no_text_is_told_in_the_failure_file(job: Path) -> None:
    train = job / "input/data/train"
    shutil.rmtree(train)
    for name in (b"a/caf\xe9.png", b"b/\xff.png"):
        path = train / os.fsdecode(name)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    assert main() == 1
    assert "2 faults: a/caf\\udce9.png: has a name that is not UTF-8 text: rename it" in failure(job)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_expected_and_absent_stands_in_the_failure_file(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPECT_GPU", "1")
    assert main() == 1
    assert failure(job).startswith("a GPU is expected") and "a training job" in failure(job)


@pytest.mark.parametrize(
    ("optimizer", "replay_share"), [("adamw", 0.0), pytest.param("muon", 0.0, marks=pytest.mark.slow), ("adamw", 0.5)]
)
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
    for ours, theirs in ((whole.model, resumed.model), (whole.averaged, resumed.averaged)):
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@pytest.mark.parametrize(("gradient", "scale"), [(-1.0, 100.0), (1.0, 1.0)])
def test_the_scale_stays_between_one_and_a_hundred(loop_of: Callable[..., Loop], gradient: float, scale: float) -> None:
    loop = loop_of(learning_rate=1.0, warmup_steps=0, cooldown_share=0)
    loop.model.logit_scale.register_hook(lambda given: torch.full_like(given, gradient))
    for _ in range(4):
        loop.take_step()
    assert loop.scale == pytest.approx(scale, rel=1e-5)


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
    weights = [weight.clone() for weight in loop.averaged.parameters()]
    hook = loop.model.visual_projection.weight.register_hook(lambda gradient: gradient * float("inf"))
    loss = loop.take_step()
    assert math.isfinite(loss) and (loop.step, loop.bad_steps) == (1, 1)
    for model in (loop.model, loop.averaged):
        assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    stop = Event()
    stop.set()
    take_steps(loop, states, stop)
    assert (loop.step, loop.bad_steps, states.newest()) == (2, 2, None)
    hook.remove()
    take_steps(loop, states, stop)
    newest = states.newest()
    assert loop.bad_steps == 0 and newest is not None and newest[0] == 3


@pytest.fixture
def _survives_sigterm() -> Iterator[None]:
    """A signal that nobody takes would end the tests and not just fail one."""
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, previous)


def stop_once(state: Callable[[], bool]) -> threading.Thread:
    """Send this process the stop signal as soon as that is so."""

    def wait_and_stop() -> None:
        while not state():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    waiting = threading.Thread(target=wait_and_stop, daemon=True)
    waiting.start()
    return waiting


@pytest.mark.usefixtures("_survives_sigterm")
def test_a_stop_signal_while_the_result_is_measured_ends_the_run_with_what_was_learnt(
    job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(job, {**QUICK, "steps": "1", "selection_scenes": "2000"})
    stopping = stop_once((job / "checkpoints/step-00000001.json").is_file)
    measured = [job / "model" / name for name in (REPORT, REPORT_PAGE, GOLDEN)]
    measured[0].parent.mkdir()
    for earlier in measured:
        earlier.write_text("of other weights")
    assert main() == 0
    stopping.join()
    assert not any(each.exists() for each in measured)
    printed = capsys.readouterr().out
    assert "validation_accuracy=" in printed and "stopped=" in printed and "alpha=" not in printed
    assert load_checkpoint(job / "model").metadata.metrics["step"] == 1


@pytest.mark.usefixtures("_survives_sigterm")
def test_a_stop_signal_leaves_a_usable_model_and_the_next_start_goes_on(
    job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(job, {**QUICK, "steps": "100000", "checkpoint_every_s": "0"})
    stopping = stop_once((job / "checkpoints/step-00000002.json").is_file)
    assert main() == 0
    stopping.join()
    assert "stopped=" in capsys.readouterr().out
    metadata = load_checkpoint(job / "model").metadata
    step = Metrics.of(metadata.metrics).step
    assert step is not None and 2 <= step < 100_000 and f"step{step}" in metadata.version
    newest = StateFolder(job / "checkpoints", "", force=True).newest()
    assert newest is not None and newest[0] == step
    stopping = stop_once((job / f"checkpoints/step-{step + 1:08}.json").is_file)
    assert main() == 0
    stopping.join()
    assert f"first_step={step}" in capsys.readouterr().out
