"""A small job under SageMaker's contract, the loop that it would run, and processes that need not import torch."""

import json
import os
from multiprocessing import get_context
from pathlib import Path
from threading import Event

import torch
from PIL import Image

from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from contract.metrics import Metrics
from model.clip.folder import load_metadata
from model.training.distributed import Ranks
from model.training.job import run
from model.training.loop import Loop
from model.training.publish import export_unfinished
from model.training.start import load_start

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220), "white": (240, 240, 240)}
QUICK = {
    **{"steps": "24", "batch_size": "8", "learning_rate": "0.003", "warmup_steps": "2", "precision": "fp32"},
    **{"selection_scenes": "100", "evaluation_scenes": "100", "threads": "1"},
}
ALONE = Ranks(0, 1, torch.device("cpu"))

FORKED = get_context("forkserver")
"""Processes are forked from one that has imported torch and transformers, and has computed nothing yet."""
FORKED.set_forkserver_preload(["model.training.job"])


def lay_out_job(base_dir: Path, values: dict[str, str]) -> None:
    """A /opt/ml with forty coloured images, four of them for validation, and these hyperparameters."""
    lines = []
    channel = base_dir / "input/data/train"
    channel.mkdir(parents=True)
    for number, (name, colour) in enumerate(list(COLOURS.items()) * 10):
        Image.new("RGB", (40, 40), tuple(max(0, part - number) for part in colour)).save(channel / f"{number}.png")
        split = "validation" if number < 4 else "train"
        lines.append({"image": f"{number}.png", "captions": [name, f"a {name} one"], "split": split})
    (channel / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    tell(base_dir, values)


def tell(base_dir: Path, values: dict[str, str]) -> None:
    """Write the job's hyperparameters."""
    (base_dir / "input/config").mkdir(exist_ok=True)
    (base_dir / "input/config/hyperparameters.json").write_text(json.dumps(values))


def build_loop(ranks: Ranks, **values: object) -> Loop:
    """The loop of the job that the environment names, quick where nothing else is said."""
    asked = Hyperparameters.model_validate({**QUICK, **values})
    return Loop(load_start(TrainSettings.from_env(os.environ), asked, ranks), ranks)


def run_one_step(**values: object) -> None:
    """Start the job that the environment names, with a stop signal that comes before its next step is over."""
    stop = Event()
    stop.set()
    run(TrainSettings.from_env(os.environ), Hyperparameters.model_validate({**QUICK, **values}), ALONE, stop)


def exported(loop: Loop) -> Metrics:
    """What stands in the checkpoint of a loop that is stopped."""
    settings = TrainSettings.from_env(os.environ)
    export_unfinished(settings, loop, "digest")
    return Metrics.of(load_metadata(settings.model_dir).metrics)
