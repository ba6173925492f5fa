"""The report of a batch; that one can be measured, the command shows."""

from benchmarks.serving.batch import report


def test_a_report_shows_every_round_and_judges_the_middle_one() -> None:
    text = report([(30.0, 100.0), (75.0, 100.0), (95.0, 100.0)])
    assert "| B17 | images/s of a batch against those of direct load | 0.75x | ≥ 0.7x | ≥ 0.9x | met |" in text
    assert "| 30.0 | 100.0 | 0.30 |" in text and "| 95.0 | 100.0 | 0.95 |" in text
