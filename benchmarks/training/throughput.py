"""How fast and in how much memory the training loop works, beside two common ones: benchmarks/training.md.

    make bench-train

All contenders train the same randomly initialised model on the same JPEGs and sentences, in float32 on one thread, each
time in a new process; rounds take turns, and medians are reported. CPU seconds are counted, which other programs on the
machine disturb least.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import BENCH, REPORTS, SHIPPED
from benchmarks.inputs import CONTEXT_LENGTH, clip_config, photo, write_checkpoint
from benchmarks.training.contend import CONTENDERS, contend
from benchmarks.training.meter import Cost, Workload
from benchmarks.training.tables import Figures, write_report
from model.clip.checkpoint import load_checkpoint
from model.data.class_wording import said_in_training
from model.world.scene import SHAPES as CLASSES

PHOTOS = 512
VALIDATION_PHOTOS = 2
PHOTO_PX = (640, 480)
PHOTO_QUALITY = 85
PHOTO_GRAIN = 13.0
"""With which such a file has 109 kB, the size of a photograph."""

SMALL: Mapping[str, Any] = {"vision": (192, 4), "text": (128, 2), "patch_px": 16, "projection": 128}
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "small": {"image_px": 64, **SMALL},
    "small-128": {"image_px": 128, **SMALL},
    "small-224": {"image_px": 224, **SMALL},
    "ViT-B/32": {"vocabulary": 49408},
}


def write_photos(directory: Path) -> None:
    """JPEGs to train on, as JSON Lines, unless they are there already. Each is of one of ten classes and has one of the
    sentences that the product makes of a class: some 50 different ones among 64.
    """
    manifest = directory / "manifest.jsonl"
    if manifest.is_file():
        return
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    lines = []
    for number in range(PHOTOS + VALIDATION_PHOTOS):
        name = f"{number}.jpg"
        (directory / name).write_bytes(photo(PHOTO_PX, number, PHOTO_GRAIN, PHOTO_QUALITY))
        said = str(rng.choice(said_in_training(str(rng.choice(CLASSES)))))
        split = "train" if number < PHOTOS else "validation"
        lines.append(json.dumps({"image": name, "captions": [said], "split": split}))
    manifest.write_text("\n".join(lines) + "\n")


def workload(work: Path, shape: str, batch: int, steps: int, warm: int, from_jpeg: bool = False) -> Workload:
    """Steps of a model of one of SHAPES, with what they need written below `work`."""
    checkpoint, photos = work / shape.replace("/", "-"), work / "photos"
    tokenizer = load_checkpoint(SHIPPED).tokenizer
    tokenizer.model_max_length = CONTEXT_LENGTH
    write_checkpoint(checkpoint, clip_config(**{"vocabulary": len(tokenizer), **SHAPES[shape]}), tokenizer)
    write_photos(photos)
    return Workload(checkpoint, photos, work / "job", batch, steps, warm, from_jpeg)


def rounds(load: Workload, count: int) -> dict[str, Cost]:
    """Each contender's median by CPU seconds; they take turns."""
    costs = [{name: _told(name, load) for name in CONTENDERS} for _ in range(count)]
    return {name: middle([each[name] for each in costs]) for name in CONTENDERS}


def middle(costs: Sequence[Cost]) -> Cost:
    """The one nearest to the median by CPU seconds."""
    typical_s = median(cost.cpu_s for cost in costs)
    return min(costs, key=lambda cost: abs(cost.cpu_s - typical_s))


def _told(name: str, load: Workload, ranks: int = 1) -> Cost:
    cost = contend(name, load, ranks)
    print(f"{load.checkpoint.name}, {load.batch} per batch, {ranks} ranks: {name} {cost}", file=sys.stderr, flush=True)
    return cost


def measure(work: Path, count: int) -> Figures:
    """All the figures of the report."""
    whole = workload(work, "small", PHOTOS, 2, 0)
    return Figures(
        step=rounds(workload(work, "small", 64, 6, 2), count),
        end_to_end=rounds(workload(work, "small", 64, PHOTOS // 64, 0, from_jpeg=True), count),
        large=rounds(workload(work, "ViT-B/32", 8, 3, 1), min(3, count)),
        batches={size: _told("ours", workload(work, "small", size, 4, 1)) for size in (16, 64, 128)},
        sides={
            SHAPES[name]["image_px"]: _told("ours", workload(work, name, 32, 4, 1))
            for name in ("small", "small-128", "small-224")
        },
        ranks={ranks: _told("ours", workload(work, "small", 64, 12, 4), ranks) for ranks in (1, 2)},
        whole=_told("ours", whole),
        chunked=_told("ours", replace(whole, chunk=PHOTOS // 8)),
        two_large_steps=_told("ours", workload(work, "ViT-B/32", 32, 2, 0)),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training.throughput", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=5, help="of every comparison (default %(default)s)")
    parser.add_argument(
        "--work", type=Path, default=BENCH / "train", help="where inputs are kept (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    begun_s = time.monotonic()
    figures = measure(given.work, given.rounds)
    write_report(figures, given.rounds, time.monotonic() - begun_s, REPORTS)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
