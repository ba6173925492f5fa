"""Training beside two common loops."""

from pathlib import Path

from benchmarks.training.meter import Cost
from benchmarks.training.throughput import Figures, comparison, middle, workload, write_report
from model.data.readers import read_records


def cost(cpu_s: float, wall_s: float = 4, work_bytes: int = 10**6) -> Cost:
    return Cost(120, cpu_s, wall_s, 2_500_000_000, work_bytes, 0.25)


THREE = {"ours": cost(2), "trainer": cost(3), "open_clip": cost(4)}
FIGURES = Figures(
    step=THREE, end_to_end=THREE, large=THREE, batches={16: cost(2), 64: cost(1)}, sides={224: cost(6)},
    ranks={1: cost(2), 2: cost(2, wall_s=3)}, whole=cost(2, work_bytes=9 * 10**6), chunked=cost(3),
    two_large_steps=cost(9),
)  # fmt: skip


def test_a_contender_is_compared_by_its_images_per_cpu_second() -> None:
    assert comparison(THREE).splitlines() == [
        "|  | images per CPU s | Wordsight is faster by | peak memory, MB |",
        "| --- | --- | --- | --- |",
        "| Wordsight | 60.0 | 1.00 | 2,500 |",
        "| transformers' Trainer, as in run_clip.py | 40.0 | 1.50 | 2,500 |",
        "| open_clip's loop | 30.0 | 2.00 | 2,500 |",
    ]


def test_of_several_rounds_the_one_nearest_to_the_median_counts() -> None:
    assert middle([cost(9), cost(2), cost(3)]) == cost(3)


def test_the_report_has_every_part(tmp_path: Path) -> None:
    write_report(FIGURES, 5, 660, tmp_path)
    report = (tmp_path / "training.md").read_text()
    assert "in 11 minutes" in report and "the median of 5 rounds" in report and report.count(comparison(THREE)) == 3
    assert "| 64 | 120.0 | 25.0% | 2,500 |" in report and "| 224 | 20.0 | 25.0% | 2,500 |" in report
    assert "| 2 | 40.0 | 25.0% |" in report
    assert "take 9 MB beside the program and the model, in 8 chunks 1 MB: 9.0 times less in 1.50 times" in report


def test_a_workload_finds_its_model_and_its_photos(tmp_path: Path) -> None:
    load = workload(tmp_path, "small", 4, steps=2, warm=1, photos=6)
    records = read_records(load.photos)
    assert [record.split for record in records] == ["train"] * 6 + ["validation"] * 2
    assert 90_000 < (load.photos / records[0].image).stat().st_size < 130_000
    assert (load.checkpoint / "model.safetensors").is_file() and load.steps == 2
