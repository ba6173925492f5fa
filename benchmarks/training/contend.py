"""One contender's steps in a process of its own, so that memory and CPU seconds are its alone: prints one JSON line."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch

from benchmarks import ROOT, SITE
from benchmarks.process import run_python
from benchmarks.training.meter import Cost, Meter, Workload
from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from model.clip.memory import keep
from model.training.distributed import joined_ranks
from model.training.loop import Loop
from model.training.start import load_base, load_channel, prepare

CONTENDERS = ("ours", "trainer", "open_clip")


def contend(name: str, load: Workload, ranks: int = 1) -> Cost:
    """Run a contender in a new process, or in several that torchrun starts. Raises ProcessError."""
    launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={ranks}", "--standalone"] if ranks > 1 else []
    told = json.dumps(asdict(load), default=str)
    said = run_python(
        [*launcher, "-m", "benchmarks.training.contend", name, told], load.job.with_suffix(".log"),
        PYTHONPATH=f"{ROOT}:{SITE}", OMP_NUM_THREADS="1", ACCELERATE_USE_CPU="true",
    )  # fmt: skip
    return Cost(**json.loads(next(line for line in reversed(said.splitlines()) if line.startswith("{"))))


def ours(load: Workload) -> Cost | None:
    """The product's own training loop; None in every rank but the first. From JPEGs, the pass that decodes and checks
    them counts.
    """
    places = {"SAGEMAKER_BASE_DIR": load.job, "SM_CHANNEL_TRAIN": load.photos, "SM_CHANNEL_BASE": load.checkpoint}
    settings = TrainSettings.from_env({name: str(path) for name, path in places.items()})
    asked = Hyperparameters(
        batch_size=load.batch, steps=load.steps, captions_per_image=1, threads=1, precision="fp32",
        chunk_size=load.chunk, distillation_weight=0.0, max_unreadable_share=0.0,
    )  # fmt: skip
    keep()
    with joined_ranks() as ranks:
        base = load_base(settings, asked)
        decoding = Meter(0)
        channel = load_channel(settings, asked, base)
        decoded = decoding.cost(0)
        loop = Loop(prepare(asked, base, channel, ranks), ranks)
        meter, waited_s = Meter(load.warm), 0.0
        for step in range(1, load.steps + 1):
            loop.take_step()
            meter.tick()
            waited_s = loop.prefetcher.waited_s if step == load.warm else waited_s
        cost = meter.cost(loop.recipe.global_batch)
        waited_s = loop.prefetcher.waited_s - waited_s
        loop.prefetcher.close()
    if load.from_jpeg:
        cost = replace(cost, cpu_s=cost.cpu_s + decoded.cpu_s, wall_s=cost.wall_s + decoded.wall_s)
    return replace(cost, data_wait=waited_s / cost.wall_s) if ranks.is_first else None


def main(name: str, told: str) -> int:
    """Be the contender of that name."""
    torch.set_num_threads(1)
    values = json.loads(told)
    places = ("checkpoint", "photos", "job", "result")
    load = Workload(**values | {key: Path(values[key]) for key in places if values[key]})
    train: Callable[[Workload], Cost | None] = ours
    if name != "ours":
        from benchmarks.training import others  # what it imports is installed for this benchmark alone

        train = getattr(others, name)
    if cost := train(load):
        print(json.dumps(asdict(cost)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
