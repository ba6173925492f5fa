"""The bars of serving."""

import pytest

from benchmarks.serving.bars import Bar, bar_table

AT_LEAST = Bar("B1", "times as fast", 5, 6)
AT_MOST = Bar("B9", "wait", 50, 10, at_most=True, unit="ms")


@pytest.mark.parametrize(
    "bar, figure, verdict",
    [
        (AT_LEAST, 6.0, "aim met"),
        (AT_LEAST, 5.0, "met"),
        (AT_LEAST, 4.0, "missed by 20 %"),
        (AT_LEAST, 4.99, "missed by 0.2 %"),
        (AT_MOST, 10.0, "aim met"),
        (AT_MOST, 50.0, "met"),
        (AT_MOST, 75.0, "missed by 50 %"),
        (AT_MOST, 150.0, "missed by 200 %"),
        (AT_MOST, float("inf"), "missed"),
        (AT_MOST, float("nan"), "missed"),
        (Bar("G4", "rate", 10_000, None, unit="/s"), 20_000.0, "met"),
    ],
)
def test_a_figure_meets_a_bar_or_misses_it_by_a_share_of_what_must_be(bar: Bar, figure: float, verdict: str) -> None:
    assert bar.verdict(figure) == verdict


def test_a_figure_is_shown_with_its_unit_and_three_digits() -> None:
    assert [AT_LEAST.show(5.4321), AT_LEAST.show(345.6), AT_MOST.show(0.123)] == ["5.43x", "346x", "0.123 ms"]
    assert [Bar("B8", "", 0.01, 0, unit="%").show(0.00456), AT_MOST.show(float("inf"))] == ["0.46%", "never"]


def test_every_bar_has_its_row_and_one_without_a_figure_its_reason() -> None:
    bars = {"fast": AT_LEAST, "late": AT_MOST, "lost": Bar("B12", "loss", 1e-4, 1e-5, at_most=True, unit="")}
    rows = bar_table(bars, {"fast": 7.0}, {"late": "nothing was refused"}).splitlines()[2:]
    assert rows == [
        "| B1 | times as fast | 7x | ≥ 5x | ≥ 6x | aim met |",
        "| B9 | wait | – | ≤ 50 ms | ≤ 10 ms | nothing was refused |",
        "| B12 | loss | – | ≤ 0.0001 | ≤ 1e-05 | not measured |",
    ]
