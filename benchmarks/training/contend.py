"""One contender's steps in a process of its own, so that memory and CPU seconds are its alone: prints one JSON line."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks import ROOT
from benchmarks.training.entry import Entry
from benchmarks.training.meter import Cost
from benchmarks.training.ours import ours

SITE = ROOT / ".bench/site"
"""Where `make bench-train` puts the other trainers, apart from the product's packages."""
CONTENDERS = ("ours", "trainer", "open_clip")


class ContenderError(Exception):
    """A contender failed. The text is what it printed last."""


def contend(name: str, entry: Entry, ranks: int = 1) -> Cost:
    """Run a contender in a new process, or in several that torchrun starts. Raises ContenderError."""
    told = json.dumps({key: str(value) if isinstance(value, Path) else value for key, value in asdict(entry).items()})
    launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={ranks}", "--standalone"] if ranks > 1 else []
    command = [sys.executable, *launcher, "-m", "benchmarks.training.contend", name, told]
    environ = os.environ | {"PYTHONPATH": f"{ROOT}:{SITE}", "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)  # noqa: S603 - our own module
    if done.returncode:
        raise ContenderError(f"{name} failed: {done.stderr[-2000:]}")
    return Cost(**json.loads(done.stdout.strip().splitlines()[-1]))


def main(name: str, told: str) -> int:
    """Be the contender of that name."""
    torch.set_num_threads(1)
    values = json.loads(told)
    entry = Entry(**values | {key: Path(values[key]) for key in ("checkpoint", "photos", "work")})
    if name == "ours":
        cost = ours(entry)
    else:
        from benchmarks.training import others as train_others  # what it imports is installed for this benchmark alone

        cost = getattr(train_others, name)(entry)
    if cost:
        print(json.dumps(asdict(cost)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
