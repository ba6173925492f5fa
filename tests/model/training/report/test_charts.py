"""The report's charts: what is drawn where."""

import re
from xml.etree import ElementTree

import pytest

from contract.progress import HistoryPoint
from contract.reports import CalibrationBin, Mixture, ReportedTask
from model.training.report.charts import curves, dumbbells, frontier, reliability
from tests.model.training.report.samples import history


def placed(svg: str, kind: str) -> list[dict[str, str]]:
    """The shapes of a class."""
    return [shape.attrib for shape in ElementTree.fromstring(svg).iter() if kind in shape.get("class", "").split()]  # noqa: S314


def test_the_curves_are_loss_and_accuracy_in_the_order_of_the_steps() -> None:
    (first, loss), (second, accuracy) = curves(history())
    assert (first, second) == ("Loss", "Accuracy")
    training, validation = (line["points"].split() for line in placed(loss, "line"))
    assert (len(training), len(validation)) == (30, 4)
    heights = [float(point.split(",")[1]) for point in training]
    assert heights == sorted(heights)  # down is large
    rising = [float(point.split(",")[1]) for point in placed(accuracy, "line")[0]["points"].split()]
    assert rising == sorted(rising, reverse=True)


def test_one_look_is_a_dot_and_none_is_no_chart() -> None:
    ((_, accuracy),) = curves([HistoryPoint(step=0, accuracy=0.5)])
    assert [dot["cx"] for dot in placed(accuracy, "after") if "cx" in dot] == ["44.0"]
    assert list(curves([])) == []


def test_a_dumbbell_goes_from_before_to_after_with_the_interval_around_the_latter() -> None:
    svg = dumbbells([ReportedTask(name="a<b", kind="new", chance=0.5, before=0.25, after=0.75, low=0.4, high=0.9)])
    (before,), (after,) = placed(svg, "before"), placed(svg, "after")
    (band,) = placed(svg, "interval")
    assert (float(before["cx"]), float(after["cx"])) == (95, 265)
    assert float(band["x1"]) == pytest.approx(10 + 340 * 0.65, abs=0.1) and float(band["x2"]) == 350  # none above all
    assert "25 % → 75 %" in svg and "a&lt;b" in svg
    assert placed(dumbbells([ReportedTask(name="new", kind="new", after=0.5)]), "before") == []


def test_a_bin_of_answers_is_as_large_as_there_are_many() -> None:
    bins = [CalibrationBin(images=1, confidence=0.5, accuracy=0), CalibrationBin(images=100, confidence=1, accuracy=1)]
    few, many = placed(reliability(bins), "after")
    assert float(few["r"]) < float(many["r"]) == 12
    assert (float(few["cx"]), float(few["cy"]), float(many["cy"])) == (194, 312, 12)


def test_the_frontier_marks_what_is_published_and_the_limit() -> None:
    mixtures = [
        Mixture(alpha=alpha, published=alpha == 0.5, accuracy=accuracy, mean_drop_at_most=drop)
        for alpha, accuracy, drop in ((0, 0.2, 0), (0.5, 0.8, 0.01), (1, 0.9, 0.05))
    ]
    svg = frontier(mixtures, 0.02)
    (published,) = placed(svg, "after")
    others, (limit,) = placed(svg, "before"), placed(svg, "limit")
    assert float(others[0]["cx"]) < float(published["cx"]) < float(limit["x1"]) < float(others[1]["cx"])
    assert re.search(r"middle strong[^>]*>50 %", svg)
    assert placed(frontier(mixtures, None), "limit") == []


def test_what_gains_a_little_on_the_old_tasks_does_not_lose_less_than_nothing() -> None:
    gains = Mixture(alpha=1, published=True, accuracy=0.9, mean_drop_at_most=-0.0002)
    svg = frontier([gains], 0.02)
    assert ">0.0<" in svg and "-0.0<" not in svg
