"""A training job as SageMaker would run it, in a folder of this machine: the program, its files and what it costs."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT
from benchmarks.process import finished_children_cpu_s, run_python
from contract.models import METADATA

TRAINING = ("contract", *(f"model/{part}" for part in ("clip", "data", "evaluation", "training", "world")))
"""The packages that a training imports."""
VALIDATION = re.compile(r"^step=(\d+) .*validation_accuracy=(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """A finished job. `cpu_s`: NaN if it was interrupted. `curve`: step, and the share of the new validation images
    that are answered rightly. `published_share`: how much of the fine-tuned weights is in the model that it published.
    """

    directory: Path
    cpu_s: float
    steps: int
    curve: tuple[tuple[int, float], ...]
    published_share: float

    @property
    def model_dir(self) -> Path:
        """What was published."""
        return self.directory / "model"

    @property
    def tuned_weights(self) -> Path:
        """The last state, whose averaged weights are those before any mixing."""
        return max((self.directory / "checkpoints").glob("step-*.pt"))


def run_job(
    directory: Path,
    train_dir: Path,
    base_dir: Path,
    hyperparameters: Mapping[str, str],
    reference_dir: Path | None = None,
) -> Job:
    """Run `python -m model.training` to its end, unless that has been done before. Raises ProcessError.

    An interrupted job goes on from its newest checkpoint; what it has cost in all is then not known. What another
    program, base or hyperparameter has left in the folder is removed first.
    """
    begun, log, done = directory / "fingerprint", directory / "log.txt", directory / "cpu_s"
    fingerprint = _fingerprint(base_dir, hyperparameters)
    if not begun.is_file() or begun.read_text() != fingerprint:
        shutil.rmtree(directory, ignore_errors=True)
        (directory / "input/config").mkdir(parents=True)
        (directory / "input/config/hyperparameters.json").write_text(json.dumps(dict(hyperparameters)))
        begun.write_text(fingerprint)
    if not done.is_file():
        resumed, before_s = log.is_file(), finished_children_cpu_s()
        places = {"SAGEMAKER_BASE_DIR": directory, "SM_CHANNEL_TRAIN": train_dir, "SM_CHANNEL_BASE": base_dir}
        if reference_dir:
            places["SM_CHANNEL_REFERENCE"] = reference_dir
        run_python(["-m", "model.training"], log, **{name: str(path.resolve()) for name, path in places.items()})
        done.write_text("nan" if resumed else str(finished_children_cpu_s() - before_s))
    curve = {int(step): float(accuracy) for step, accuracy in VALIDATION.findall(log.read_text())}
    steps = json.loads(max((directory / "checkpoints").glob("step-*.json")).read_bytes())["step"]
    metrics = json.loads((directory / "model" / METADATA).read_bytes())["metrics"]
    share = float(metrics["interpolation"]["alpha"])
    return Job(directory, float(done.read_text()), steps, tuple(sorted(curve.items())), share)


def _fingerprint(base_dir: Path, hyperparameters: Mapping[str, str]) -> str:
    """Of everything that decides a result: the program, the base and what the job is told."""
    programs = [path for part in TRAINING for path in (ROOT / part).rglob("*.py")]
    parts = [path.read_bytes() for path in [*sorted(programs), base_dir / "model.safetensors"]]
    return hashlib.sha256(b"".join([*parts, json.dumps(dict(hyperparameters), sort_keys=True).encode()])).hexdigest()
