"""A run that is killed, restarted, changed or damaged."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model.training.job import main
from model.training.loop import Loop
from model.training.state import ResumeError, StateFolder
from tests.model.loops import QUICK, tell

ROOT = Path(__file__).resolve().parents[3]
STEPS = 30
EVERY_STEP = {**QUICK, "steps": str(STEPS), "checkpoint_every_s": "0", "log_every_steps": "1"}


def run_until(step: int | None) -> tuple[int, int]:
    """Start the job and kill it soon after a step, or let it end. Returns its first and its last step."""
    first = last = 0
    command = [sys.executable, "-m", "model.training", "train"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as run:
        assert run.stdout is not None
        for line in run.stdout:
            said = dict(pair.partition("=")[::2] for pair in line.split())
            first = int(said.get("first_step", first))
            last = int(said["step"]) if line.startswith("step=") else last
            if step is not None and last >= step:
                time.sleep(random.random() * 0.03)
                run.kill()
                break
    assert (run.returncode == 0) == (step is None)
    return first, last


def state_of(job: Path) -> dict[str, Any]:
    newest = StateFolder(job / "checkpoints", "", force=True).newest()
    assert newest is not None and newest[0] == STEPS
    return newest[1]


def test_killed_at_random_steps_it_ends_in_the_very_same_weights(
    coloured_job: Path, loop_of: Callable[..., Loop]
) -> None:
    tell(coloured_job, EVERY_STEP)
    kills, done = sorted(random.sample(range(2, STEPS - 1), 2)), 0
    for kill in kills:
        first, last = run_until(kill)
        assert first >= done - 1, "more than the step that was being saved is lost"
        done = max(last, first)
    assert run_until(None)[0] >= done - 1
    whole = loop_of(steps=STEPS)
    for _ in range(STEPS):
        whole.take_step()
    state = state_of(coloured_job)
    for name, ours in (("model", whole.model), ("averaged", whole.averaged.model)):
        assert all(torch.equal(weight, state[name][key]) for key, weight in ours.state_dict().items())


def test_a_truncated_newest_state_costs_one_interval_and_no_more(
    coloured_job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["steps=6", "checkpoint_every_s=0"]) == 0
    newest = max((coloured_job / "checkpoints").glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    capsys.readouterr()
    assert main(["steps=6", "checkpoint_every_s=0"]) == 0
    assert "first_step=5" in capsys.readouterr().out


def test_other_data_or_hyperparameters_are_refused_unless_forced(
    coloured_job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = coloured_job / "output/failure"
    assert main(["steps=2"]) == 0
    assert main(["steps=3", "weight_decay=0.1"]) == 1
    assert "set resume_force=1" in failure.read_text()
    manifest = coloured_job / "input/data/train/manifest.jsonl"
    manifest.write_text(manifest.read_text().replace("a red one", "a crimson one"))
    failure.unlink()
    assert main(["steps=2"]) == 1 and "belongs to a run with other" in failure.read_text()
    capsys.readouterr()
    assert main(["steps=3", "resume_force=1"]) == 0
    assert "first_step=2" in capsys.readouterr().out


def test_what_is_only_how_a_step_is_computed_may_change(coloured_job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["steps=2"]) == 0
    capsys.readouterr()
    assert main(["steps=2", "chunk_size=3"]) == 0
    assert "first_step=2" in capsys.readouterr().out


def test_a_state_of_another_shape_is_refused_even_when_forced(loop_of: Callable[..., Loop]) -> None:
    adapted, whole = loop_of(lora_rank=2), loop_of()
    with pytest.raises(ResumeError, match="does not fit this run's model and optimiser"):
        whole.resume((1, adapted.state()))
