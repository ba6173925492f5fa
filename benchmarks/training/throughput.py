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
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import BENCH, REPORTS, SHIPPED, SITE
from benchmarks.inputs import CONTEXT_LENGTH, clip_config, photo, write_checkpoint
from benchmarks.machine import machine
from benchmarks.training.contend import CONTENDERS, contend
from benchmarks.training.meter import Cost, Workload
from contract.hyperparameters import Hyperparameters
from model.clip.checkpoint import load_checkpoint
from model.data.class_wording import said_in_training
from model.evaluation.report import markdown
from model.world.scene import SHAPES as CLASSES

NAMES = {"ours": "Wordsight", "trainer": "transformers' Trainer, as in run_clip.py", "open_clip": "open_clip's loop"}
PEERS = ("open_clip_torch", "accelerate")
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


@dataclass(frozen=True)
class Figures:
    """Costs by contender in the first three, of ours alone in the others."""

    step: Mapping[str, Cost]
    end_to_end: Mapping[str, Cost]
    large: Mapping[str, Cost]
    batches: Mapping[int, Cost]
    sides: Mapping[int, Cost]
    ranks: Mapping[int, Cost]
    whole: Cost
    chunked: Cost
    two_large_steps: Cost


def write_photos(directory: Path, count: int) -> None:
    """`count` JPEGs to train on, as JSON Lines, unless they are there already. Each is of one of ten classes and has
    one of the sentences that the product makes of a class: some 50 different ones among 64.
    """
    manifest = directory / "manifest.jsonl"
    if manifest.is_file():
        return
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    lines = []
    for number in range(count + VALIDATION_PHOTOS):
        name = f"{number}.jpg"
        (directory / name).write_bytes(photo(PHOTO_PX, number, PHOTO_GRAIN, PHOTO_QUALITY))
        said = str(rng.choice(said_in_training(str(rng.choice(CLASSES)))))
        split = "train" if number < count else "validation"
        lines.append(json.dumps({"image": name, "captions": [said], "split": split}))
    manifest.write_text("\n".join(lines) + "\n")


def workload(
    work: Path, shape: str, batch: int, steps: int, warm: int, from_jpeg: bool = False, photos: int = PHOTOS
) -> Workload:
    """Steps of a model of one of SHAPES, with what they need written below `work`."""
    checkpoint, photos_dir = work / shape.replace("/", "-"), work / "photos"
    tokenizer = load_checkpoint(SHIPPED).tokenizer
    tokenizer.model_max_length = CONTEXT_LENGTH
    write_checkpoint(checkpoint, clip_config(**{"vocabulary": len(tokenizer), **SHAPES[shape]}), tokenizer)
    write_photos(photos_dir, photos)
    return Workload(checkpoint, photos_dir, work / "job", batch, steps, warm, from_jpeg)


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


def write_report(figures: Figures, rounds: int, took_s: float, folder: Path) -> None:
    """Write it as training.md."""
    peers = {each.name: each.version for each in distributions(path=[str(SITE)]) if each.name in PEERS}
    compared = ", ".join(f"{name} {version}" for name, version in sorted(peers.items()))
    ranks = [
        [f"{count}", f"{cost.images / cost.wall_s:.1f}", f"{cost.data_wait:.1%}"]
        for count, cost in figures.ranks.items()
    ]
    whole, chunked, area = figures.whole, figures.chunked, Hyperparameters().crop_area_min
    (folder / "training.md").write_text(f"""# How fast training is

`make bench-train` wrote this file in {took_s / 60:.0f} minutes. {machine()}; compared with {compared}.

The same randomly initialised model, JPEGs of 640 x 480 px and about 109 kB, sentences and tokenizer; float32, one
thread, AdamW; a new process each time, contenders taking turns, the median of {rounds} rounds (3 for ViT-B/32). Of
64 sentences about 50 differ, as in a dataset of ten classes. The others encode each sentence as often as it comes,
padded to 77 tokens, and decode each file in full. All show every image in a random crop of {area:.0%} of its area at
least, the others as torchvision makes them: of the whole file, resized once. open_clip would import torchvision, which
this repository never installs, so its model and loss are driven by the body of its loop, and Pillow makes the crops.

## A step

Small model (64 px, vision 192 x 4, text 128 x 2), 64 images, already decoded and of the model's size.

{comparison(figures.step)}

## From JPEG files

The same model, every image once: decoding, checking, and all steps.

{comparison(figures.end_to_end)}

## ViT-B/32

The shape of OpenAI's model, 8 images a step, already decoded.

{comparison(figures.large)}

## Wordsight alone

{_by_size("images in a batch", figures.batches)}

{_by_size("side of an image, px (32 in a batch)", figures.sides)}

{markdown(["processes (gloo), 64 images each", "images per s", "share of time waiting for data"], ranks)}

512 images in one step take {_mb(whole.work_bytes)} MB beside the program and the model, in 8 chunks \
{_mb(chunked.work_bytes)} MB: {whole.work_bytes / chunked.work_bytes:.1f} times less in \
{chunked.cpu_s / whole.cpu_s:.2f} times the CPU time.

Two steps of a ViT-B/32, 32 images each, reach {_mb(figures.two_large_steps.peak_bytes)} MB in all.
""")


def comparison(costs: Mapping[str, Cost]) -> str:
    """Images per CPU second, and how many times another's Wordsight's is."""
    ours = costs["ours"].per_cpu_s
    rows = [
        [NAMES[name], f"{cost.per_cpu_s:.1f}", f"{ours / cost.per_cpu_s:.2f}", _mb(cost.peak_bytes)]
        for name, cost in costs.items()
    ]
    return markdown(["", "images per CPU s", "Wordsight is faster by", "peak memory, MB"], rows)


def _by_size(what: str, costs: Mapping[int, Cost]) -> str:
    rows = [
        [f"{size}", f"{cost.per_cpu_s:.1f}", f"{cost.data_wait:.1%}", _mb(cost.peak_bytes)]
        for size, cost in costs.items()
    ]
    return markdown([what, "images per CPU s", "share of time waiting for data", "peak memory, MB"], rows)


def _mb(count: int) -> str:
    return f"{count / 1e6:,.0f}"


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
