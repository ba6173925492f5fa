"""The throughput report as Markdown: benchmarks/training.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from benchmarks import SITE
from benchmarks.machine import machine
from benchmarks.training.meter import Cost
from model.evaluation.report import markdown

NAMES = {"ours": "Wordsight", "trainer": "transformers' Trainer, as in run_clip.py", "open_clip": "open_clip's loop"}
PEERS = ("open_clip_torch", "accelerate")


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


def write_report(figures: Figures, rounds: int, took_s: float, folder: Path) -> None:
    """Write it as training.md."""
    peers = {each.name: each.version for each in distributions(path=[str(SITE)]) if each.name in PEERS}
    compared = ", ".join(f"{name} {version}" for name, version in sorted(peers.items()))
    ranks = [
        [f"{count}", f"{cost.images / cost.wall_s:.1f}", f"{cost.data_wait:.1%}"]
        for count, cost in figures.ranks.items()
    ]
    whole, chunked = figures.whole, figures.chunked
    (folder / "training.md").write_text(f"""# How fast training is

`make bench-train` wrote this file in {took_s / 60:.0f} minutes. {machine()}; compared with {compared}.

The same randomly initialised model, JPEGs of 640 x 480 px and about 109 kB, sentences and tokenizer; float32, one
thread, AdamW; a new process each time, contenders taking turns, the median of {rounds} rounds (3 for ViT-B/32). Of
64 sentences about 50 differ, as in a dataset of ten classes. The others encode each sentence as often as it comes,
padded to 77 tokens, and decode each file in full. open_clip would import torchvision, which this repository never
installs, so its model and loss are driven by the body of its loop, without its transforms.

## A step

Small model (64 px, vision 192 x 4, text 128 x 2), 64 images, already decoded.

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
