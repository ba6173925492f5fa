"""The learning curve's picture."""

from xml.etree import ElementTree

from model.training.curve import HEIGHT, WIDTH, curve_svg

POINTS = [
    {"step": 0, "validation_loss": 4.0, "validation_accuracy": 0.0},
    {"step": 50, "validation_loss": 2.0, "validation_accuracy": 0.5},
    {"step": 100, "validation_loss": 0.0, "validation_accuracy": 1.0},
]


def lines(svg: str) -> list[list[tuple[float, float]]]:
    found = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}polyline")  # noqa: S314
    return [[tuple(map(float, place.split(","))) for place in each.attrib["points"].split()] for each in found]  # type: ignore[misc]


def test_loss_falls_and_accuracy_rises_over_the_steps_within_the_picture() -> None:
    loss, accuracy = lines(curve_svg(POINTS))
    assert [x for x, _ in loss] == [x for x, _ in accuracy] == sorted(x for x, _ in loss)
    assert [y for _, y in loss] == sorted(y for _, y in loss)  # downwards y grows
    assert accuracy == [(x, y) for (x, _), (_, y) in zip(loss, reversed(loss), strict=True)]
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in [*loss, *accuracy])


def test_a_single_point_and_a_loss_of_zero_can_be_drawn() -> None:
    assert len(lines(curve_svg([{"step": 0, "validation_loss": 0.0, "validation_accuracy": 0.5}]))[0]) == 1
