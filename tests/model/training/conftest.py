"""What several tests of training start from."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from model.training.distributed import Ranks
from model.training.loop import Loop
from tests.model.loops import QUICK, build_loop, lay_out_job


@pytest.fixture
def coloured_job(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job that teaches four colours to the tiny CLIP."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.setenv("BASE_MODEL_DIR", str(checkpoint_dir))
    lay_out_job(tmp_path, QUICK)
    return tmp_path


@pytest.fixture
def loop_of(coloured_job: Path) -> Iterator[Callable[..., Loop]]:
    """Loops of that job in this process."""
    loops: list[Loop] = []

    def build(**values: object) -> Loop:
        loops.append(build_loop(Ranks(0, 1, torch.device("cpu")), **values))
        return loops[-1]

    yield build
    for loop in loops:
        loop.close()
