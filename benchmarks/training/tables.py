"""The throughput report as Markdown: benchmarks/training.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from benchmarks import ROOT
from benchmarks.machine import machine
from benchmarks.training.meter import Cost

REPORT = ROOT / "benchmarks/training.md"
NAMES = {"ours": "Wordsight", "trainer": "transformers' Trainer, as in run_clip.py", "open_clip": "open_clip's loop"}
MB = 1e6


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


def write_report(figures: Figures, rounds: int, took_s: float, path: Path = REPORT) -> None:
    """Write it."""
    path.write_text("\n\n".join([_head(rounds, took_s), *_comparisons(figures), *_scaling(figures)]) + "\n")


def _head(rounds: int, took_s: float) -> str:
    others = ", ".join(f"{name} {number}" for name, number in sorted(_other_versions().items()))
    return f"""# How fast training is

`make bench-train` wrote this file in {took_s / 60:.0f} minutes. {machine()}; compared with {others}.

The same randomly initialised model, JPEGs of 640 x 480 px and about 109 kB, sentences and tokenizer; float32, one
thread, AdamW; a new process each time, contenders taking turns, the median of {rounds} rounds (3 for ViT-B/32). Of
64 sentences about 50 differ, as in a dataset of ten classes. The others encode each sentence as often as it comes,
padded to 77 tokens, and decode each file in full. open_clip would import torchvision, which this repository never
installs, so its model and loss are driven by the body of its loop, without its transforms."""


def _other_versions() -> dict[str, str]:
    found = distributions(path=[str(ROOT / ".bench/site")])
    return {each.name: each.version for each in found if each.name in ("open_clip_torch", "accelerate")}


def _comparisons(figures: Figures) -> list[str]:
    return [
        "## A step\n\nSmall model (64 px, vision 192 x 4, text 128 x 2), 64 images, already decoded.",
        comparison(figures.step),
        "## From JPEG files\n\nThe same model, every image once: decoding, checking, and all steps.",
        comparison(figures.end_to_end),
        "## ViT-B/32\n\nThe shape of OpenAI's model, 8 images a step, already decoded.",
        comparison(figures.large),
    ]


def comparison(costs: Mapping[str, Cost]) -> str:
    """Images per CPU second, and how many times another's Wordsight's is."""
    ours = speed(costs["ours"])
    rows = [
        f"| {NAMES[name]} | {speed(cost):.1f} | {ours / speed(cost):.2f} | {cost.peak_bytes / MB:,.0f} |"
        for name, cost in costs.items()
    ]
    return "\n".join(
        ["| | images per CPU s | Wordsight is faster by | peak memory, MB |", "| --- |" + " --- |" * 3, *rows]
    )


def speed(cost: Cost) -> float:
    """Images per CPU second."""
    return cost.images / cost.cpu_s


def _scaling(figures: Figures) -> list[str]:
    saved = figures.whole.work_bytes / figures.chunked.work_bytes
    slower = figures.chunked.cpu_s / figures.whole.cpu_s
    return [
        "## Wordsight alone",
        _scaled("images in a batch", figures.batches),
        _scaled("side of an image, px (32 in a batch)", figures.sides),
        _ranks(figures.ranks),
        f"512 images in one step take {figures.whole.work_bytes / MB:,.0f} MB beside the program and the model, in 8 "
        f"chunks {figures.chunked.work_bytes / MB:,.0f} MB: {saved:.1f} times less in {slower:.2f} times the CPU time.",
        f"Two steps of a ViT-B/32, 32 images each, reach {figures.two_large_steps.peak_bytes / MB:,.0f} MB in all.",
    ]


def _scaled(what: str, costs: Mapping[int, Cost]) -> str:
    rows = [
        f"| {size} | {speed(cost):.1f} | {cost.data_wait:.1%} | {cost.peak_bytes / MB:,.0f} |"
        for size, cost in costs.items()
    ]
    head = f"| {what} | images per CPU s | share of time waiting for data | peak memory, MB |"
    return "\n".join([head, "| --- |" + " --- |" * 3, *rows])


def _ranks(costs: Mapping[int, Cost]) -> str:
    rows = [f"| {count} | {cost.images / cost.wall_s:.1f} | {cost.data_wait:.1%} |" for count, cost in costs.items()]
    head = "| processes (gloo), 64 images each | images per s | share of time waiting for data |"
    return "\n".join([head, "| --- | --- | --- |", *rows])
