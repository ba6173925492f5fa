"""Line charts as SVG."""

import xml.etree.ElementTree as ElementTree

import pytest

from model.evaluation.chart import HEIGHT, WIDTH, Axis, Series, learning_curve, line_chart, round_step

SVG = "{http://www.w3.org/2000/svg}"
POINTS = [
    {"step": 0, "validation_loss": 4.0, "validation_accuracy": 0.0},
    {"step": 50, "validation_loss": 2.0, "validation_accuracy": 0.5},
    {"step": 100, "validation_loss": 0.0, "validation_accuracy": 1.0},
]


def lines(svg: str) -> list[list[tuple[float, float]]]:
    found = ElementTree.fromstring(svg).iter(f"{SVG}polyline")  # noqa: S314
    return [[tuple(map(float, place.split(","))) for place in each.attrib["points"].split()] for each in found]  # type: ignore[misc]


def texts(svg: str) -> set[str | None]:
    return {text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")}  # noqa: S314


def test_a_chart_joins_the_points_of_each_series_and_names_it() -> None:
    series = [Series("plain <b>", [(0.0, 0.0), (1.0, 1.0)]), Series("replay", [(0.5, 0.5)])]
    chart = line_chart("what & why", Axis("old", 0, 1), Axis("new", 0, 1), series)
    (first, last), (middle,) = lines(chart)
    assert first[0] < middle[0] < last[0] and first[1] > middle[1] > last[1]  # SVG counts y downwards
    assert {"plain <b>", "replay", "what & why", "old", "new"} <= texts(chart)


def test_what_lies_outside_an_axis_is_drawn_at_its_end() -> None:
    axis = Axis("steps", 10, 20)
    assert [axis.share(value) for value in (0, 10, 15, 20, 99)] == [0, 0, 0.5, 1, 1]
    assert axis.ticks() == [10, 12, 14, 16, 18, 20]


def test_a_logarithmic_axis_gives_every_power_of_ten_the_same_room() -> None:
    axis = Axis("labels", 1, 10_000, log=True)
    assert [axis.share(value) for value in (1, 10, 100, 10_000)] == [0, 0.25, 0.5, 1]
    assert axis.ticks() == [1, 10, 100, 1000, 10_000]
    assert Axis("clients", 1, 32, log=True).ticks() == [1, 2, 5, 10, 20]


def test_a_tick_has_three_digits_or_all_of_a_large_number() -> None:
    chart = line_chart("", Axis("steps", 0, 10_000), Axis("loss", 0, 0.102134), [])
    assert {"2000", "10000", "0.0204", "0.102"} <= texts(chart)


def test_an_axis_ends_at_the_next_round_value() -> None:
    assert [round_step(value) for value in (0.13, 1, 3, 60)] == pytest.approx([0.2, 1, 5, 100])
    assert [round_step(value, down=True) for value in (0.13, 1, 3, 60)] == pytest.approx([0.1, 1, 2, 50])


def test_loss_falls_and_accuracy_rises_over_the_steps_within_the_picture() -> None:
    loss, accuracy = lines(learning_curve(POINTS))
    assert [x for x, _ in loss] == [x for x, _ in accuracy] == sorted(x for x, _ in loss)
    assert [y for _, y in loss] == sorted(y for _, y in loss)  # downwards y grows
    assert accuracy == [(x, y) for (x, _), (_, y) in zip(loss, reversed(loss), strict=True)]
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in [*loss, *accuracy])


def test_loss_and_accuracy_have_an_axis_each() -> None:
    assert {"loss", "accuracy", "step", "0.8", "3.2", "100"} <= texts(learning_curve(POINTS))


def test_a_single_point_and_a_loss_of_zero_can_be_drawn() -> None:
    assert len(lines(learning_curve([{"step": 0, "validation_loss": 0.0, "validation_accuracy": 0.5}]))[0]) == 1
