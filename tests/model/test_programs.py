"""The container's argument chooses the program."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("arguments", [[], ["server"], ["serve", "train"]])
def test_the_serving_image_refuses_anything_but_serve(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "model.serving", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    got = " ".join(arguments) or "no argument"
    assert done.stderr == f"usage: python -m model.serving serve, or function, got {got}\n"


@pytest.mark.slow
def test_the_training_image_takes_hyperparameters_behind_its_argument() -> None:
    command = [sys.executable, "-m", "model.training", "train", "--help"]
    done = subprocess.run(command, cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=True)
    assert "batch_size=64" in done.stdout
