"""Line charts as SVG: two axes, a few named series, readable on light and dark pages."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 220, 36, 52
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
TICKS = 5

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Points in the order they are joined."""

    name: str
    points: Sequence[Point]


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


def line_chart(title: str, x: Axis, y: Axis, series: Sequence[Series]) -> str:
    """The chart as an SVG document."""

    def place(point: Point) -> Point:
        across, up = x.share(point[0]), y.share(point[1])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, 20, title, "start", bold=True), *_axes(x, y, place)]
    for number, one in enumerate(series):
        parts += _series(one, COLOURS[number % len(COLOURS)], [place(point) for point in one.points])
        parts += _legend(one.name, COLOURS[number % len(COLOURS)], TOP + 14 + 20 * number)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    background = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", background, *parts, "</svg>"]) + "\n"


def _axes(x: Axis, y: Axis, place: Callable[[Point], Point]) -> list[str]:
    parts = []
    for value in y.ticks():
        left, height = place((x.low, value))
        right, _ = place((x.high, value))
        parts.append(f'<line x1="{left:.1f}" y1="{height:.1f}" x2="{right:.1f}" y2="{height:.1f}" stroke="#dddddd"/>')
        parts.append(_text(left - 8, height + 4, f"{value:g}", "end"))
    for value in x.ticks():
        across, height = place((value, y.low))
        parts.append(_text(across, height + 18, f"{value:g}", "middle"))
    middle, height = place(((x.low + x.high) / 2, y.low))
    parts.append(_text(middle, height + 40, x.title, "middle"))
    parts.append(f'<g transform="rotate(-90 16 {HEIGHT / 2:g})">{_text(16, HEIGHT / 2, y.title, "middle")}</g>')
    return parts


def _series(one: Series, colour: str, points: Sequence[Point]) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots]


def _legend(name: str, colour: str, height: float) -> list[str]:
    left = WIDTH - RIGHT + 16
    line = f'<line x1="{left}" y1="{height}" x2="{left + 20}" y2="{height}" stroke="{colour}" stroke-width="3"/>'
    return [line, _text(left + 26, height + 4, name, "start")]


def _text(x: float, y: float, text: str, anchor: str, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    at = f'x="{x:.1f}" y="{y:.1f}"'
    return f'<text {at} font-size="12" fill="#222222" text-anchor="{anchor}"{weight}>{escape(text)}</text>'
