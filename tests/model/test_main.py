"""The container's argument chooses the program."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("arguments", [[], ["server"], ["serve", "train"]])
def test_anything_but_serve_or_train_is_an_error_that_names_both(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "model", *arguments], cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == f"usage: python -m model serve|train, got {' '.join(arguments) or 'no argument'}\n"
