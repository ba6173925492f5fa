"""A training job as SageMaker would run it, in a folder of this machine: the program, its files and what it costs."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.checkpoint import METADATA

ROOT = Path(__file__).resolve().parent.parent
VALIDATION = re.compile(r"^step=(\d+) .*validation_accuracy=(\S+)", re.MULTILINE)


class JobError(Exception):
    """The training program failed. The text is its own last word."""


@dataclass(frozen=True)
class Job:
    """A finished job. `curve`: step, and the share of the new validation images that are answered rightly."""

    directory: Path
    cpu_s: float
    steps: int
    curve: tuple[tuple[int, float], ...]

    @property
    def model_dir(self) -> Path:
        """What was published."""
        return self.directory / "model"

    @property
    def published_share(self) -> float:
        """How much of the fine-tuned weights is in it."""
        return float(json.loads((self.model_dir / METADATA).read_bytes())["metrics"]["interpolation"]["alpha"])

    @property
    def tuned_weights(self) -> Path:
        """The last state, whose averaged weights are those before any mixing."""
        return max((self.directory / "checkpoints").glob("step-*.pt"))


def run_job(directory: Path, train_dir: Path, base_dir: Path, hyperparameters: Mapping[str, str]) -> Job:
    """Run `python -m model.train` to its end, unless that has been done before. Raises JobError.

    An interrupted job goes on from its newest checkpoint, and its CPU seconds add up. What another program, base or
    hyperparameter has left in the folder is removed first.
    """
    begun, spent, done = directory / "fingerprint", directory / "cpu_s", directory / "done"
    fingerprint = _fingerprint(base_dir, hyperparameters)
    if not begun.is_file() or begun.read_text() != fingerprint:
        shutil.rmtree(directory, ignore_errors=True)
        (directory / "input/config").mkdir(parents=True)
        (directory / "input/config/hyperparameters.json").write_text(json.dumps(dict(hyperparameters)))
        spent.write_text("0")
        begun.write_text(fingerprint)
    if not done.is_file():
        before_s = _children_cpu_s()
        status = _train(directory, train_dir, base_dir)
        spent.write_text(str(float(spent.read_text()) + _children_cpu_s() - before_s))
        if status:
            raise JobError(f"training in {directory} failed: {_log(directory).strip().splitlines()[-1]}")
        done.touch()
    return _finished(directory, float(spent.read_text()))


def _train(directory: Path, train_dir: Path, base_dir: Path) -> int:
    places = {"SAGEMAKER_BASE_DIR": directory, "SM_CHANNEL_TRAIN": train_dir, "SM_CHANNEL_BASE": base_dir}
    environ = os.environ | {name: str(path.resolve()) for name, path in places.items()}
    command = [sys.executable, "-m", "model.train"]
    with (directory / "log.txt").open("a") as log:
        return subprocess.run(command, cwd=ROOT, env=environ, stdout=log, stderr=subprocess.STDOUT).returncode  # noqa: S603 - our own program


def _finished(directory: Path, cpu_s: float) -> Job:
    curve = {int(step): float(accuracy) for step, accuracy in VALIDATION.findall(_log(directory))}
    newest = max((directory / "checkpoints").glob("step-*.json"))
    return Job(directory, cpu_s, json.loads(newest.read_bytes())["step"], tuple(sorted(curve.items())))


def _log(directory: Path) -> str:
    return (directory / "log.txt").read_text()


def _fingerprint(base_dir: Path, hyperparameters: Mapping[str, str]) -> str:
    """Of everything that decides a result: the program, the base and what the job is told."""
    programs = sorted((ROOT / "model").rglob("*.py"))
    parts = [path.read_bytes() for path in [*programs, base_dir / "model.safetensors"]]
    return hashlib.sha256(b"".join([*parts, json.dumps(dict(hyperparameters), sort_keys=True).encode()])).hexdigest()


def _children_cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system
