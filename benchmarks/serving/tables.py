"""The serving report as Markdown and charts: serving.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.machine import machine
from benchmarks.serving.agreement import Agreement
from benchmarks.serving.bars import THROUGHPUT, bar_table
from benchmarks.serving.hardware import Hardware, middle
from benchmarks.serving.load import Columns, Load, load_table, percentile
from benchmarks.serving.requests import THIN_WIDTH
from model.evaluation.chart import Axis, Series, line_chart, round_step
from model.evaluation.report import markdown

Rounds = Mapping[str, Mapping[str, Sequence[Load]]]
"""By case and contender, one per round."""
Curve = Mapping[str, Mapping[float, Load]]
"""By contender and what grows."""

NAMES = {
    "ours": "Wordsight", "exact": "Wordsight, EXACT=1", "int8": "Wordsight, PRECISION=int8",
    "bf16": "Wordsight, PRECISION=bf16", "pipeline": "transformers' pipeline", "infinity": "infinity-emb 0.0.77",
    "thin": "Wordsight, thin towers",
}  # fmt: skip
AXES = {
    "labels": "labels", "sizes": "Mpixel of the image", "images": "images in a request", "clients": "clients at once",
}  # fmt: skip
LATENCY, RATE = "Latency of a lone client, s", "Requests per second"


@dataclass(frozen=True)
class Figures:
    """All that was measured; `hardware` once per round."""

    hardware: Sequence[Hardware]
    rounds: Rounds
    curves: Mapping[str, Curve]
    agreements: Mapping[str, Agreement]
    workers: int
    many_labels: int


def bar_figures(figures: Figures) -> dict[str, float]:
    """A figure for every bar that this run can answer."""
    rounds, measured = figures.rounds, figures.hardware
    found = {
        "vga": speedup(rounds, "VGA", "ours", "pipeline"),
        "12mp": speedup(rounds, "12 MP", "ours", "pipeline"),
        "warm": speedup(rounds, "many", "ours", "pipeline"),
        "exact": speedup(rounds, "VGA", "exact", "pipeline"),
        "int8": speedup(rounds, "VGA", "int8", "pipeline"),
        "infinity": speedup(rounds, "vectors", "ours", "infinity"),
        "infinity_exact": speedup(rounds, "vectors", "exact", "infinity"),
        "tower": median(each.best_ms / each.precisions[each.default].tower_ms[1] for each in measured),
        "request": against(rounds, "VGA", "ours", [each.best_ms for each in measured]),
        "rest_vga": against(rounds, "VGA thin", "thin", [each.prepare_ms["VGA"] for each in measured]),
        "rest_12mp": against(rounds, "12 MP thin", "thin", [each.prepare_ms["12 MP"] for each in measured]),
    }
    pipeline_ms, cold_ms = typical_cpu_ms(rounds, "many", "pipeline"), typical_cpu_ms(rounds, "cold", "ours")
    if pipeline_ms and cold_ms:
        found["cold"] = pipeline_ms / cold_ms
    if exact := figures.agreements.get("exact"):
        found["agree_exact"] = exact.max_abs
    if fast := figures.agreements.get("ours"):
        found |= {"agree_fast": fast.max_abs, "argmax_fast": fast.clear_argmax}
    return {key: value for key, value in found.items() if value is not None}


def absent_reasons(figures: Figures) -> dict[str, str]:
    """Why a bar has no figure."""
    bars_of = {"exact": ("exact", "infinity_exact", "agree_exact"), "int8": ("int8",)}
    absent = [bar for name, bars in bars_of.items() if name not in figures.rounds["VGA"] for bar in bars]
    reasons = dict.fromkeys(absent, "the server did not start so")
    if "infinity" not in figures.rounds.get("vectors", {}):
        reasons |= dict.fromkeys(("infinity", "infinity_exact"), "infinity-emb did not start")
    return reasons


def speedup(rounds: Rounds, case: str, one: str, other: str) -> float | None:
    """How many times the other's answers a second: the median over rounds, each compared with the same round's."""
    each = rounds.get(case, {})
    pairs = [(a.per_s, b.per_s) for a, b in zip(each.get(one, []), each.get(other, []), strict=False)]
    return median(a / b for a, b in pairs) if pairs and all(b for _, b in pairs) else None


def against(rounds: Rounds, case: str, name: str, needed_ms: Sequence[float]) -> float | None:
    """CPU per answer as a multiple of what something else took in the same round: the median over rounds."""
    each = zip(rounds.get(case, {}).get(name, []), needed_ms, strict=False)
    shares = [load.cpu_ms / ms for load, ms in each if load.answered]
    return median(shares) if shares else None


def typical_cpu_ms(rounds: Rounds, case: str, name: str) -> float | None:
    """Per answer: the median over rounds."""
    loads = [load for load in rounds.get(case, {}).get(name, []) if load.answered]
    return median(load.cpu_ms for load in loads) if loads else None


def write_report(figures: Figures, took_s: float, directory: Path) -> None:
    """Write the report and its charts."""
    directory.mkdir(parents=True, exist_ok=True)
    bars = f"## The bars\n\n{bar_table(THROUGHPUT, bar_figures(figures), absent_reasons(figures))}"
    sections = [_head(figures, took_s), bars, _rounds(figures), _hardware(figures), _agreements(figures)]
    for name, curve in figures.curves.items():
        file = f"serving-{name}.svg"
        (directory / file).write_text(_chart(name, curve))
        sections.append(f"## By {AXES[name]}\n\n![]({file})\n\n{_curve_table(name, curve)}")
    (directory / "serving.md").write_text("\n\n".join(sections) + "\n")


def _head(figures: Figures, took_s: float) -> str:
    loads = [load for case in figures.rounds.values() for each in case.values() for load in each]
    rounds = max(len(each) for case in figures.rounds.values() for each in case.values())
    idle, steal = median(load.idle for load in loads), max(load.steal for load in loads)
    generator_ms = median(1000 * load.generator_cpu_s / len(load.samples) for load in loads)
    return f"""# How fast serving is

`make bench` wrote this file in {took_s / 60:.0f} minutes. {machine()}.

A model of openai/clip-vit-base-patch32's shape with random weights, which cost what trained ones cost, and its
tokenizer; synthetic photographs as JPEG. Every contender is a server of its own with {figures.workers} one-thread
workers; the pipeline stands behind the same HTTP server and parser as Wordsight. All are up at once and take turns,
{rounds} rounds; ratios are medians of the rounds' own ratios. The load generator runs on the same cores and spends
{generator_ms:.1f} ms of CPU on a request. While loads ran, {idle:.0%} of the machine was idle in the median, and at
most {steal:.1%} was stolen by its host."""


def _rounds(figures: Figures) -> str:
    titles = {
        "VGA": "VGA, 10 known labels", "12 MP": "12 Mpixel, 10 known labels",
        "many": f"VGA, {figures.many_labels:,} known labels", "cold": f"VGA, {figures.many_labels:,} new labels",
        "vectors": "VGA, a vector and no labels", "VGA thin": "VGA, without the towers' work",
        "12 MP thin": "12 Mpixel, without the towers' work",
    }  # fmt: skip
    rows = [
        [titles[case], NAMES[name], *_load_cells(loads)]
        for case, each in figures.rounds.items()
        for name, loads in each.items()
    ]
    header = ["request", "server", "requests/s", "CPU ms", "p50, ms", "p99, ms", "memory, MB", "machine idle"]
    return f"## Requests\n\nIn a closed loop, the median of the rounds.\n\n{markdown(header, rows)}"


def _load_cells(loads: Sequence[Load]) -> list[str]:
    if not any(load.answered for load in loads):
        return ["not answered", *[""] * 5]
    latencies = [sample.latency_ms for load in loads for sample in load.answered]
    return [
        f"{median(load.per_s for load in loads):.3g}",
        f"{median(load.cpu_ms for load in loads):,.1f}",
        *(f"{percentile(latencies, share):,.0f}" for share in (0.5, 0.99)),
        f"{max(load.rss_bytes for load in loads) / 1e6:,.0f}",
        f"{median(load.idle for load in loads):.0%}",
    ]


def _hardware(figures: Figures) -> str:
    hardware = middle(figures.hardware)
    header = ["", "best product", "the tower's products, batch 1"]
    header += ["tower, batch 1: ms", "batch 8: ms", "tower / products"]
    rows = [
        [
            name,
            f"{speed.peak_gflops:,.0f}",
            f"{speed.chain_gflops:,.0f}",
            *(f"{ms:.1f} ({hardware.gflop * batch / ms * 1000:,.0f})" for batch, ms in speed.tower_ms.items()),
            f"{hardware.gflop / speed.tower_ms[1] * 1000 / speed.chain_gflops:.2f}",
        ]
        for name, speed in hardware.precisions.items()
    ]
    return f"""## What it could be

One thread on one core while nothing else runs, in GFLOP/s of CPU time, measured in every round: bars
compare with the same round. An image costs the tower {hardware.gflop:.2f} GFLOP.
"The tower's products" are its own shapes one after another with weights that no cache holds: what memory allows at
batch 1.

{markdown(header, rows)}

CPU ms of a request with 10 known labels. "Without towers" is the same server under the same load with a
model of one layer, {THIN_WIDTH} numbers wide; it is what B7 counts.

{_request_table(figures, hardware)}"""


def _request_table(figures: Figures, hardware: Hardware) -> str:
    tower_ms = hardware.precisions[hardware.default].tower_ms[1]
    rows = []
    for size, prepare_ms in hardware.prepare_ms.items():
        whole_ms = typical_cpu_ms(figures.rounds, size, "ours")
        rest_ms = typical_cpu_ms(figures.rounds, f"{size} thin", "thin")
        if whole_ms and rest_ms:
            rows.append([size, *(f"{ms:.1f}" for ms in (whole_ms, tower_ms, rest_ms, whole_ms - tower_ms, prepare_ms))])
    header = ["", "whole request", f"tower alone, {hardware.default}"]
    return markdown([*header, "without towers", "whole - tower", "HF's preparation"], rows)


def _agreements(figures: Figures) -> str:
    rows = [
        [NAMES[name], f"{each.max_abs:.1e}", f"{each.argmax:.2%}", f"{each.clear_argmax:.2%}", f"{each.answers:,}"]
        for name, each in figures.agreements.items()
    ]
    header = ["", "greatest difference", "same best label", "where it leads by > .02", "answers"]
    return f"""## Agreement with transformers

Probabilities of the shipped checkpoint in fp32 by transformers, about scenes of its world sent as files: PNG in their
own size, and enlarged as JPEG.

{markdown(header, rows)}"""


def _curve_table(name: str, curve: Curve) -> str:
    rows = [((f"{x:,g}", NAMES[who]), load) for who, points in curve.items() for x, load in points.items()]
    columns: Columns = {
        "p50, ms": lambda load: f"{load.latency_ms(0.5):,.0f}",
        "requests/s": lambda load: f"{load.per_s:.3g}",
        "CPU ms": lambda load: f"{load.cpu_ms:,.1f}",
    }
    return load_table([AXES[name], "server"], rows, columns)


def _chart(name: str, curve: Curve) -> str:
    title = RATE if name == "clients" else LATENCY
    series = [
        Series(
            NAMES[contender],
            [
                (x, load.per_s if title == RATE else load.latency_ms(0.5) / 1000)
                for x, load in points.items()
                if load.answered
            ],
        )
        for contender, points in curve.items()
    ]
    across, up = zip(*(point for one in series for point in one.points), strict=True)
    low, high = round_step(min(up), down=True), round_step(max(up))
    x_axis = Axis(AXES[name], min(across), max(across), log=True)
    y_axis = Axis(title, 0, high) if title == RATE else Axis(title, low, high, log=True)
    return line_chart(f"{title}, by {AXES[name]}", x_axis, y_axis, series)
