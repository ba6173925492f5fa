"""A training job in a folder."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import SHIPPED
from benchmarks.learning.job import Job, run_job
from benchmarks.learning.outcome import mixture
from benchmarks.process import ProcessError

BRIEF = {
    "steps": "4", "batch_size": "4", "threads": "1", "evaluate_every_steps": "2", "selection_scenes": "100",
    "evaluation_scenes": "100", "replay_share": "0", "distillation_weight": "0",
    "precision": "fp32",
}  # fmt: skip


@pytest.fixture(scope="module")
def train_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, light and dark."""
    folder = tmp_path_factory.mktemp("train")
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 128)):
        (folder / name).mkdir()
        for number in range(12):
            pixels = rng.integers(low, low + 128, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.slow
def test_a_finished_job_is_read_and_not_run_again_unless_it_is_told_otherwise(train_dir: Path, tmp_path: Path) -> None:
    job = run_job(tmp_path / "job", train_dir, SHIPPED, BRIEF)
    assert job.steps == 4 and job.cpu_s > 0 and 0 <= job.published_share <= 1
    assert [step for step, _ in job.curve][-1] == 4 and all(0 <= accuracy <= 1 for _, accuracy in job.curve)
    assert mixture(SHIPPED, job.tuned_weights, 0.5).metadata.version.endswith("-alpha0.5")
    assert run_job(tmp_path / "job", train_dir, SHIPPED, BRIEF) == job
    (tmp_path / "job/cpu_s").unlink()
    resumed: Job = run_job(tmp_path / "job", train_dir, SHIPPED, BRIEF)
    assert math.isnan(resumed.cpu_s) and resumed.steps == 4
    with pytest.raises(ProcessError, match="hyperparameter steps is '0'"):  # so it is another job, begun anew
        run_job(tmp_path / "job", train_dir, SHIPPED, BRIEF | {"steps": "0"})
