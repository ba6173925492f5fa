"""Line charts as SVG."""

import xml.etree.ElementTree as ElementTree

from benchmarks.chart import Axis, Series, line_chart

SVG = "{http://www.w3.org/2000/svg}"


def test_a_chart_joins_the_points_of_each_series_and_names_it() -> None:
    series = [Series("plain <b>", [(0.0, 0.0), (1.0, 1.0)]), Series("replay", [(0.5, 0.5)])]
    chart = ElementTree.fromstring(line_chart("what & why", Axis("old", 0, 1), Axis("new", 0, 1), series))  # noqa: S314
    lines = [line.get("points") or "" for line in chart.iter(f"{SVG}polyline")]
    (first, last), (middle,) = ([tuple(map(float, pair.split(","))) for pair in line.split()] for line in lines)
    assert first[0] < middle[0] < last[0] and first[1] > middle[1] > last[1]  # SVG counts y downwards
    assert {"plain <b>", "replay", "what & why", "old", "new"} <= {text.text for text in chart.iter(f"{SVG}text")}


def test_what_lies_outside_an_axis_is_drawn_at_its_end() -> None:
    axis = Axis("steps", 10, 20)
    assert [axis.share(value) for value in (0, 10, 15, 20, 99)] == [0, 0, 0.5, 1, 1]
    assert axis.ticks() == [10, 12, 14, 16, 18, 20]


def test_a_logarithmic_axis_gives_every_power_of_ten_the_same_room() -> None:
    axis = Axis("labels", 1, 10_000, log=True)
    assert [axis.share(value) for value in (1, 10, 100, 10_000)] == [0, 0.25, 0.5, 1]
    assert axis.ticks() == [1, 10, 100, 1000, 10_000]
    assert Axis("clients", 1, 32, log=True).ticks() == [1, 2, 5, 10, 20]
