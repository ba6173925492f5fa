"""The report of a GPU."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.serving.agreement import Agreement
from benchmarks.serving.bars import GPU
from benchmarks.serving.client import Sample
from benchmarks.serving.gpu import BATCHES, Served, Tower, bar_figures, calls_per_s, write_report
from benchmarks.serving.load import Load


def load(per_s: float, p99_ms: float = 8) -> Load:
    samples = [Sample(0, 4, 200)] * 8 + [Sample(0, p99_ms, 200), Sample(0, 1, 429)]
    return Load(samples, 9 / per_s, 0.018, 0, 0.25, 0, 10**9)


TOWER = Tower(
    gflop=10, peak_gflops={"fp16": 500_000, "bf16": 400_000},
    ms={"fp16": dict(zip(BATCHES, (1, 2, 4, 16), strict=True)), "bf16": dict(zip(BATCHES, (1, 2, 4, 20), strict=True))},
    eager_ms=dict(zip(BATCHES, (5, 9, 30, 80), strict=True)), images_per_s=12_345,
)  # fmt: skip
SERVED = Served(
    lone=load(200), full=load(2000), loaded=load(1600, p99_ms=12), decoded_per_s=2500, pipeline=load(100),
    agreement=Agreement(1e-3, 0.998, 1.0, 1600),
)  # fmt: skip


def test_every_bar_has_a_figure() -> None:
    assert bar_figures(TOWER, SERVED) == {
        "peak": pytest.approx(160 / 400), "eager": 5, "latency": pytest.approx(0.2), "decode": pytest.approx(0.8),
        "rate": 12_345, "p99": 3, "argmax": 0.998, "pipeline": pytest.approx(20),
    }  # fmt: skip
    assert bar_figures(TOWER, SERVED).keys() == GPU.keys()


def test_the_report_has_a_row_for_every_batch_and_load(tmp_path: Path) -> None:
    write_report(TOWER, SERVED, frozenset(range(12)), 300, tmp_path / "gpu.md")
    report = (tmp_path / "gpu.md").read_text()
    assert "in 5 minutes" in report and "has 12 cores" in report
    assert "| 256 | 80.00 | 16.00 (160) | 20.00 (128) |" in report
    assert "| Wordsight, 64 clients | 2,000 | 1 | 4.0 | 8.0 | 2.00 | 25% |" in report
    write_report(TOWER, replace(SERVED, pipeline=None), frozenset(range(12)), 300, tmp_path / "gpu.md")
    report = (tmp_path / "gpu.md").read_text()
    assert "the pipeline did not start" in report and "transformers' pipeline, 64 clients" not in report


def test_calls_of_all_threads_count_together() -> None:
    calls: list[str] = []
    per_s = calls_per_s([lambda: calls.append("one"), lambda: calls.append("other")], seconds=0.2)
    assert per_s == pytest.approx(len(calls) / 0.2) and calls
