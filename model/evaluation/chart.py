"""Line charts as SVG: named series over one or two vertical axes, readable on light and dark pages, by no library."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 220, 36, 52
SECOND_AXIS = 56
"""What the tick labels and the title of a second vertical axis take from the legend's room."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
TICKS = 5


@dataclass(frozen=True)
class Series:
    """Points in the order they are joined."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """What is shown along one side, from `low` to `high`; with `log`, which needs a `low` above 0, by its logarithm."""

    title: str
    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between the ends; what lies outside is drawn at the nearer end."""
        low, high, at = (math.log(each) if self.log else each for each in (self.low, self.high, value))
        return min(1.0, max(0.0, (at - low) / (high - low)))

    def ticks(self) -> list[float]:
        """Evenly spaced values, both ends among them; with `log` 1, 2 and 5 times the powers of ten in between."""
        if not self.log:
            return [self.low + (self.high - self.low) * step / TICKS for step in range(TICKS + 1)]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if self.high < 1000 * self.low else (1,)
        return [step * 10.0**power for power in powers for step in steps if self.low <= step * 10.0**power <= self.high]

    def across(self, value: float) -> float:
        """A value's place along the bottom, in px from the left."""
        return LEFT + self.share(value) * (WIDTH - LEFT - RIGHT)

    def up(self, value: float) -> float:
        """A value's place along a side, in px from the top."""
        return HEIGHT - BOTTOM - self.share(value) * (HEIGHT - TOP - BOTTOM)


def round_step(value: float, down: bool = False) -> float:
    """The next of 1, 2 and 5 times the powers of ten, upwards or down, so that an axis ends at a tick."""
    power: float = 10.0 ** math.floor(math.log10(value))
    steps = [power * step for step in (1, 2, 5, 10)]
    return max(step for step in steps if step <= value) if down else min(step for step in steps if step >= value)


def line_chart(title: str, x: Axis, y: Axis, series: Sequence[Series], right: tuple[Axis, Series] | None = None) -> str:
    """The chart as an SVG document; one more series may have an axis of its own at the right."""
    drawn = [(y, each) for each in series] + ([right] if right else [])
    floor = HEIGHT - BOTTOM
    parts = [_text(LEFT, 20, title, "start", bold=True)]
    parts += [_text(x.across(value), floor + 18, _digits(value), "middle") for value in x.ticks()]
    parts += [_text((LEFT + WIDTH - RIGHT) / 2, floor + 40, x.title, "middle"), *_side(y)]
    if right:
        parts += _side(right[0], at_right=True)
    for number, (axis, one) in enumerate(drawn):
        colour, height = COLOURS[number % len(COLOURS)], TOP + 14 + 20 * number
        points = [(f"{x.across(value):.1f}", f"{axis.up(other):.1f}") for value, other in one.points]
        path = " ".join(map(",".join, points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across}" cy="{up}" r="3" fill="{colour}"/>' for across, up in points]
        left = WIDTH - RIGHT + 16 + (SECOND_AXIS if right else 0)
        ends = f'x1="{left}" y1="{height}" x2="{left + 20}" y2="{height}"'
        parts += [f'<line {ends} stroke="{colour}" stroke-width="3"/>', _text(left + 26, height + 4, one.name, "start")]
    look = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {look}>'
    background = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", background, *parts, "</svg>"]) + "\n"


def learning_curve(points: Sequence[Mapping[str, float]]) -> str:
    """Validation loss on the left axis and accuracy on the right one, over steps. Each point has a `step`."""
    loss, accuracy = (
        Series(name, [(point["step"], point[f"validation_{name}"]) for point in points])
        for name in ("loss", "accuracy")
    )
    last, highest = (max(values) for values in zip(*loss.points, strict=True))
    x, y = Axis("step", 0, last or 1), Axis("loss", 0, highest or 1)
    title = "Validation loss and accuracy over the steps"
    return line_chart(title, x, y, [loss], right=(Axis("accuracy", 0, 1), accuracy))


def _side(axis: Axis, at_right: bool = False) -> list[str]:
    """An axis at the left with the grid's lines, or at the right without."""
    end = WIDTH - RIGHT
    place, anchor, middle = (end + 8, "start", end + SECOND_AXIS - 8) if at_right else (LEFT - 8, "end", 16)
    parts = []
    for value in axis.ticks():
        height = axis.up(value)
        if not at_right:
            parts.append(f'<line x1="{LEFT}" y1="{height:.1f}" x2="{end}" y2="{height:.1f}" stroke="#dddddd"/>')
        parts.append(_text(place, height + 4, _digits(value), anchor))
    turned = _text(middle, HEIGHT / 2, axis.title, "middle")
    return [*parts, f'<g transform="rotate(-90 {middle} {HEIGHT / 2:g})">{turned}</g>']


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _text(x: float, y: float, text: str, anchor: str, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    at = f'x="{x:.1f}" y="{y:.1f}"'
    return f'<text {at} font-size="12" fill="#222222" text-anchor="{anchor}"{weight}>{escape(text)}</text>'
