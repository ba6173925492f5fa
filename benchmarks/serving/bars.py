"""The bars that serving has to reach, and whether a figure does."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from model.evaluation.report import markdown

Key = str


@dataclass(frozen=True)
class Bar:
    """A figure `must` be at least so great and aims at more; or with `at_most` the other way round."""

    number: str
    what: str
    must: float
    aim: float | None
    at_most: bool = False
    unit: Literal["x", "%", "s", "ms", "/s", ""] = "x"

    def meets(self, figure: float, bound: float) -> bool:
        """Whether the figure is on the good side of a bound."""
        return figure <= bound if self.at_most else figure >= bound

    def verdict(self, figure: float) -> str:
        """In words, with how far it is missed in per cent of the bound."""
        if self.aim is not None and self.meets(figure, self.aim):
            return "aim met"
        if self.meets(figure, self.must):
            return "met"
        if not math.isfinite(figure):
            return "missed"
        if not self.must:
            return f"missed by {self.show(figure)}"
        miss = 100 * abs(figure / self.must - 1)
        return f"missed by {miss:,.0f} %" if miss >= 10 else f"missed by {miss:.2g} %"

    def show(self, value: float) -> str:
        """With its unit, to three digits."""
        if not math.isfinite(value):
            return "never"
        if self.unit == "%":
            return f"{value:.2%}"
        digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
        return f"{digits}{'' if self.unit == 'x' else ' '}{self.unit}".strip()

    def bound(self, value: float | None) -> str:
        """As a cell of the table."""
        return "–" if value is None else f"{'≤' if self.at_most else '≥'} {self.show(value)}"


THROUGHPUT: Mapping[Key, Bar] = {
    "vga": Bar("B1", "requests/s against the pipeline: VGA, 10 known labels", 5, 6),
    "12mp": Bar("B2", "the same, 12 Mpixel", 5, 7),
    "warm": Bar("B3", "the same, VGA, 1000 known labels", 200, 330),
    "cold": Bar("B3", "CPU per request against the pipeline: VGA, 1000 labels never seen before", 2.5, 4),
    "exact": Bar("B4", "requests/s in exact mode against the pipeline: VGA, 10 known labels", 3, 3.5),
    "int8": Bar("B4", "requests/s in int8 against the pipeline: VGA, 10 known labels", 8, 10),
    "tower": Bar("B5", "image tower, batch 1, as a share of the best matrix product", 0.75, 0.9, unit=""),
    "request": Bar("B6", "CPU of a VGA request / what its products cost at the best rate", 1.35, 1.2, at_most=True),
    "rest_vga": Bar("B7", "CPU of a VGA request without the towers / HF's preparation alone", 0.7, 0.5, at_most=True),
    "rest_12mp": Bar("B7", "the same, 12 Mpixel", 0.2, 0.15, at_most=True),
    "infinity_exact": Bar("B11", "image vectors/s against infinity-emb, both fp32: VGA", 1.3, 1.5),
    "infinity": Bar("B11", "the same, each with its default", 2, 3),
    "agree_exact": Bar("B12", "exact mode: greatest difference from transformers", 1e-4, 1e-5, at_most=True, unit=""),
    "agree_fast": Bar("B12", "default: greatest difference from transformers", 2e-2, 1e-2, at_most=True, unit=""),
    "argmax_fast": Bar("B12", "default: same best label, where transformers' leads by > .02", 0.99, 0.995, unit="%"),
}
LOAD: Mapping[Key, Bar] = {
    "p99": Bar("B8", "p99 at 80 % of the capacity, evenly spaced / one client's p50", 5, 3.5, at_most=True),
    "refused": Bar("B8", "refused meanwhile", 0.01, 0, at_most=True, unit="%"),
    "useful": Bar("B9", "at 4x the capacity: answers within twice the budget / capacity", 0.7, 0.85, unit=""),
    "accepted": Bar("B9", "p99 of what was accepted / budget", 2, None, at_most=True),
    "reject": Bar("B9", "p99 of a refusal", 50, 10, at_most=True, unit="ms"),
    "ping": Bar("B9", "p99 of /ping", 100, 20, at_most=True, unit="ms"),
    "recovery": Bar("B10", "after the overload: time until p50 is normal", 2, 1, at_most=True, unit="s"),
    "growth": Bar("B10", "growth of the server's memory", 0.05, 0, at_most=True, unit="%"),
}
BATCH: Mapping[Key, Bar] = {
    "batch": Bar("B17", "images/s of a batch against those of direct load", 0.7, 0.9),
}
BESIDE: Mapping[Key, Bar] = {
    "cpu VGA": Bar("B16", "CPU of a VGA request beside the towers, of an earlier server's", 1.03, 1, at_most=True),
    "cpu 12 MP": Bar("B16", "the same, 12 Mpixel", 1.03, 1, at_most=True),
    "rate VGA": Bar("B16", "requests/s with a model of CLIP's size, of an earlier server's: VGA", 0.97, 1),
    "rate 12 MP": Bar("B16", "the same, 12 Mpixel", 0.97, 1),
}
START: Mapping[Key, Bar] = {
    "ping": Bar("B14", "ViT-B/32 on a CPU: process start to a healthy /ping", 8, 5, at_most=True, unit="s"),
    "first": Bar("B14", "the same as a function: to its first answer", 6, 5, at_most=True, unit="s"),
    "import": Bar("B15", "import of a Lambda's module on one core, the slowest", 0.35, 0.25, at_most=True, unit="s"),
}
GPU: Mapping[Key, Bar] = {
    "peak": Bar("G1", "image tower at batch 256 as a share of the bf16 peak", 0.35, None, unit="%"),
    "eager": Bar("G1", "the same against transformers, eager, fp32", 4, None),
    "latency": Bar("G2", "latency at batch 1 / transformers, eager", 0.3, None, at_most=True),
    "decode": Bar("G3", "VGA requests/s, 64 clients / what the same threads decode", 0.8, None),
    "pipeline": Bar("G3", "the same against the pipeline", 10, None),
    "rate": Bar("G4", "images/s in process, decoded to 224 px before", 10_000, None, unit="/s"),
    "p99": Bar("G5", "p99 at 80 % of the capacity / one client's p50", 4, None, at_most=True),
    "argmax": Bar("G6", "same best label as transformers in fp32", 0.995, None, unit="%"),
}


def bar_table(bars: Mapping[Key, Bar], figures: Mapping[Key, float], absent: Mapping[Key, str] = {}) -> str:
    """Every bar with its figure and verdict; one without a figure with the reason in `absent`."""
    rows = [_row(bar, figures.get(key), absent.get(key, "not measured")) for key, bar in bars.items()]
    return markdown(["", "bar", "figure", "must", "aim", ""], rows)


def _row(bar: Bar, figure: float | None, reason: str) -> list[str]:
    shown, verdict = ("–", reason) if figure is None else (bar.show(figure), bar.verdict(figure))
    return [bar.number, bar.what, shown, bar.bound(bar.must), bar.bound(bar.aim), verdict]
