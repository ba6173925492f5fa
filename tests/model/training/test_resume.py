"""A run that is killed, restarted, changed or damaged."""

import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from model.training.job import main
from model.training.loop import Loop
from model.training.state import ResumeError, StateFolder
from tests.model.loops import FORKED, QUICK, run_one_step, tell

STEPS = 30
EVERY_STEP = {**QUICK, "steps": str(STEPS), "checkpoint_every_s": "0", "log_every_steps": "1"}


def train(environment: Mapping[str, str], log: Path) -> None:
    """The job, in a process of its own."""
    os.environ.update(environment)
    with log.open("w", buffering=1) as sys.stdout:
        sys.exit(main())


def run_until(step: int, log: Path) -> tuple[int, int]:
    """Start the job and kill it soon after a step. Returns its first and its last step."""
    job = FORKED.Process(target=train, args=({**os.environ}, log))
    job.start()
    last = 0
    while last < step:
        assert job.is_alive(), log.read_text()
        time.sleep(0.002)
        printed = log.read_text().split("\n")[:-1] if log.is_file() else []
        said = [dict(pair.partition("=")[::2] for pair in line.split()) for line in printed]
        last = max((int(line["step"]) for line in said if "step" in line), default=0)
    time.sleep(random.random() * 0.03)
    job.kill()
    job.join()
    return next(int(line["first_step"]) for line in said if "first_step" in line), last


def state_of(job: Path) -> dict[str, Any]:
    newest = StateFolder(job / "checkpoints", "", force=True).newest()
    assert newest is not None and newest[0] == STEPS
    return newest[1]


@pytest.mark.slow
def test_killed_at_random_steps_it_ends_in_the_very_same_weights(
    coloured_job: Path, tmp_path: Path, loop_of: Callable[..., Loop], capsys: pytest.CaptureFixture[str]
) -> None:
    tell(coloured_job, EVERY_STEP)
    done = 0
    for kill in sorted(random.sample(range(2, STEPS - 1), 2)):
        first, last = run_until(kill, tmp_path / f"{kill}.log")
        assert first >= done - 1, "more than the step that was being saved is lost"
        done = max(last, first)
    assert main() == 0
    (begun,) = (line for line in capsys.readouterr().out.split() if line.startswith("first_step="))
    assert int(begun.partition("=")[2]) >= done - 1
    whole = loop_of(steps=STEPS)
    for _ in range(STEPS):
        whole.take_step()
    state = state_of(coloured_job)
    for name, ours in (("model", whole.model), ("averaged", whole.averaged)):
        assert all(torch.equal(weight, state[name][key]) for key, weight in ours.state_dict().items())


def test_a_truncated_newest_state_costs_one_interval_and_no_more(
    coloured_job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        run_one_step()
    newest = max((coloured_job / "checkpoints").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    capsys.readouterr()
    run_one_step()
    assert "first_step=1" in capsys.readouterr().out


def test_other_data_or_hyperparameters_are_refused_unless_forced(
    coloured_job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = coloured_job / "output/failure"
    run_one_step()
    assert main(["weight_decay=0.1"]) == 1
    assert "set resume_force=1" in failure.read_text()
    manifest = coloured_job / "input/data/train/manifest.jsonl"
    manifest.write_text(manifest.read_text().replace("a red one", "a crimson one"))
    failure.unlink()
    assert main() == 1 and "belongs to a run with other" in failure.read_text()
    capsys.readouterr()
    run_one_step(resume_force="1")
    assert "first_step=1" in capsys.readouterr().out


@pytest.mark.usefixtures("coloured_job")
def test_what_is_only_how_a_step_is_computed_may_change(capsys: pytest.CaptureFixture[str]) -> None:
    run_one_step()
    capsys.readouterr()
    run_one_step(chunk_size="3")
    assert "first_step=1" in capsys.readouterr().out


def test_a_state_of_another_shape_is_refused_even_when_forced(loop_of: Callable[..., Loop]) -> None:
    adapted, whole = loop_of(lora_rank=2), loop_of()
    with pytest.raises(ResumeError, match="does not fit this run's model and optimiser"):
        whole.resume((1, adapted.state()))


@pytest.mark.usefixtures("patterned")
def test_a_run_that_goes_on_shows_the_crops_that_it_would_have_shown(loop_of: Callable[..., Loop]) -> None:
    whole, first, second = loop_of(), loop_of(), loop_of(threads=3, kept_pixels_bytes=0)
    uncropped = loop_of(crop_area_min=1.0)
    for _ in range(6):
        whole.take_step()
        uncropped.take_step()
    for _ in range(3):
        first.take_step()
    second.resume((first.step, first.state()))
    for _ in range(3):
        second.take_step()
    ours, resumed, others = ([*loop.model.parameters()] for loop in (whole, second, uncropped))
    assert all(torch.equal(a, b) for a, b in zip(ours, resumed, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(ours, others, strict=True)), "nothing was cropped"
