"""The serving report."""

from pathlib import Path

import pytest

from benchmarks.serving.agreement import Agreement
from benchmarks.serving.client import Sample
from benchmarks.serving.hardware import Hardware, Speed
from benchmarks.serving.load import Load
from benchmarks.serving.tables import Figures, against, bar_figures, speedup, write_report


def load(per_s: float, cpu_ms: float) -> Load:
    """Ten answers at this rate and cost."""
    samples = [Sample(number / per_s, 1000 / per_s, 200) for number in range(10)]
    return Load(samples, 10 / per_s, cpu_ms / 100, 0, 0.5, 0, 10**9)


HARDWARE = Hardware(
    gflop=8.82, default="bf16",
    precisions={"bf16": Speed(882, 441, {1: 20, 8: 100}), "fp32": Speed(200, 100, {1: 90, 8: 500})},
    prepare_ms={"VGA": 5, "12 MP": 150},
)  # fmt: skip
SLOWER = Hardware(
    gflop=8.82, default="bf16",
    precisions={"bf16": Speed(441, 400, {1: 50, 8: 200}), "fp32": Speed(100, 90, {1: 180, 8: 999})},
    prepare_ms={"VGA": 10, "12 MP": 300},
)  # fmt: skip
FOUND = Figures(
    [HARDWARE, SLOWER],
    {
        "VGA": {"ours": [load(50, 13), load(60, 12)], "pipeline": [load(5, 200), load(10, 200)]},
        "many": {"ours": [load(50, 20)], "pipeline": [load(0.1, 20_000)]},
        "cold": {"ours": [load(0.2, 5_000)]},
        "VGA thin": {"thin": [load(200, 2), load(100, 6)]},
    },
    {
        "labels": {"ours": {2: load(50, 20), 10_000: load(20, 50)}},
        "clients": {"ours": {1: load(20, 30), 32: load(50, 30)}},
    },
    {"ours": Agreement(1e-3, 0.99, 1.0, 100)},
    workers=2,
    many_labels=1000,
)  # fmt: skip


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    assert speedup(FOUND.rounds, "VGA", "ours", "pipeline") == pytest.approx((10 + 6) / 2)
    assert speedup(FOUND.rounds, "VGA", "int8", "pipeline") is None


def test_bars_have_figures_by_what_was_measured() -> None:
    figures = bar_figures(FOUND)
    assert figures == {
        "vga": pytest.approx(8), "warm": pytest.approx(500), "cold": pytest.approx(4),
        "tower": pytest.approx((0.5 + 0.4) / 2),
        "request": pytest.approx((1.3 + 0.6) / 2), "rest_vga": pytest.approx((0.4 + 0.6) / 2),
        "agree_fast": 1e-3, "argmax_fast": 1.0,
    }  # fmt: skip


def test_what_a_request_costs_is_compared_with_the_hardware_of_the_same_round() -> None:
    assert against(FOUND.rounds, "VGA", "ours", [10, 24]) == pytest.approx((1.3 + 0.5) / 2)
    assert against(FOUND.rounds, "VGA", "int8", [10, 24]) is None


def test_the_report_has_every_part_and_its_charts(tmp_path: Path) -> None:
    write_report(FOUND, 600, tmp_path)
    report = (tmp_path / "serving.md").read_text()
    assert "| bf16 | 662 |" in report  # the median of 882 and 441
    assert "in 10 minutes" in report and "| B1 |" in report and "| 8x |" in report
    assert "| VGA, 1,000 new labels | Wordsight | 0.2 | 5,000.0 |" in report
    assert "infinity-emb did not start" in report and "the server did not start so" in report
    for name in ("labels", "clients"):
        assert f"](serving-{name}.svg)" in report and (tmp_path / f"serving-{name}.svg").read_text().startswith("<svg")
