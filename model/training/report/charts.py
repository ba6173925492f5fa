"""The report's charts as inline SVG, 360 units wide so that they can be read on a phone. Colours are the page's, by
class.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

from contract.progress import HistoryPoint
from contract.reports import CalibrationBin, Mixture, ReportedTask
from contract.verdict import percent
from model.evaluation.chart import round_step

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 12, 40
TICKS = 4
SIDE = 300
"""Of the calibration's square."""
NAME_CHARS = 30
ROW = 46

Scale = Callable[[float], float]
Points = Sequence[tuple[float, float]]


def curves(points: Sequence[HistoryPoint]) -> Iterator[tuple[str, str]]:
    """Loss and accuracy over the steps: what a chart shows, and the chart."""
    steps = [point.step for point in points] or [0]
    x = _scale(min(steps), max(steps), LEFT, WIDTH - RIGHT)
    loss = [(float(point.step), point.loss) for point in points if point.loss is not None]
    asked = [(float(point.step), point.validation_loss) for point in points if point.validation_loss is not None]
    right = [(float(point.step), point.accuracy) for point in points if point.accuracy is not None]
    if both := [*loss, *asked]:
        top = round_step(max((value for _, value in both), default=0) or 1)
        y = _scale(0, top, HEIGHT - BOTTOM, TOP)
        parts = [*_grid(y, 0, top, _number, ticks=5), *_bottom(x, min(steps), max(steps), "step")]
        parts += [*_line(x, y, loss, "soft"), *_line(x, y, asked, "after", dots=True)]
        yield "Loss", _chart("Loss over the steps", parts)
    if right:
        y = _scale(0, 1, HEIGHT - BOTTOM, TOP)
        parts = [*_grid(y, 0, 1, percent), *_bottom(x, min(steps), max(steps), "step")]
        yield "Accuracy", _chart("Accuracy over the steps", [*parts, *_line(x, y, right, "after", dots=True)])


def dumbbells(tasks: Sequence[ReportedTask]) -> str:
    """Accuracy before and after of each task, the interval of the change as a bar around the latter."""
    x = _scale(0, 1, 10, WIDTH - 10)
    parts = []
    for number, task in enumerate(tasks):
        top = ROW * number
        parts += [_text(10, top + 14, _cut(task.name)), _text(WIDTH - 10, top + 14, _change(task), "end strong")]
        parts.append(f'<line class="grid" x1="{x(0):g}" x2="{x(1):g}" y1="{top + 28}" y2="{top + 28}"/>')
        if task.chance is not None:
            at = x(task.chance)
            parts.append(f'<line class="chance" x1="{at:.1f}" x2="{at:.1f}" y1="{top + 22}" y2="{top + 34}"/>')
        if task.before is not None and task.low is not None and task.high is not None:
            low, high = (x(task.before + change) for change in (task.low, task.high))
            ends = f'x1="{low:.1f}" x2="{high:.1f}"'
            parts.append(f'<line class="interval" {ends} y1="{top + 28}" y2="{top + 28}"/>')
        if task.before is not None:
            parts.append(f'<circle class="before" cx="{x(task.before):.1f}" cy="{top + 28}" r="5"/>')
        if task.after is not None:
            parts.append(f'<circle class="after" cx="{x(task.after):.1f}" cy="{top + 28}" r="5"/>')
    return _chart("Accuracy before and after, by task", parts, height=ROW * len(tasks))


def reliability(bins: Sequence[CalibrationBin]) -> str:
    """How often answers are right against how sure they are; a circle is as large as there are many of them."""
    x, y = _scale(0, 1, LEFT, SIDE + LEFT), _scale(0, 1, SIDE + TOP, TOP)
    parts = [*_grid(y, 0, 1, percent, end=SIDE + LEFT), *_bottom(x, 0, 1, "how sure", percent, floor=SIDE + TOP)]
    parts.append(f'<line class="chance" x1="{x(0):g}" y1="{y(0):g}" x2="{x(1):g}" y2="{y(1):g}"/>')
    most = max((each.images for each in bins), default=1)
    for each in bins:
        radius = 3 + 9 * math.sqrt(each.images / most)
        said = f"{each.images} answers, {percent(each.confidence)} sure, {percent(each.accuracy)} right"
        parts.append(
            f'<circle class="after see" cx="{x(each.confidence):.1f}" cy="{y(each.accuracy):.1f}" r="{radius:.1f}">'
            f"<title>{said}</title></circle>"
        )
    return _chart("How often answers are right, by how sure they are", parts, height=SIDE + TOP + BOTTOM)


def frontier(mixtures: Sequence[Mixture], limit: float | None) -> str:
    """What each mixture wins on the new images against what it may cost the old tasks; the limit as a line."""
    known = [(each.mean_drop_at_most or 0.0, each.accuracy, each) for each in mixtures]
    ends = [0.0, *(drop for drop, _, _ in known), *([] if limit is None else [limit])]
    low, high = min(ends), max(*ends, 0.01)
    pad = 0.06 * (high - low)
    x, y = _scale(low - pad, high + pad, LEFT, WIDTH - RIGHT), _scale(0, 1, HEIGHT - BOTTOM, TOP)
    parts = [*_grid(y, 0, 1, percent), *_bottom(x, low, high, "old tasks lose at most, in points", _points)]
    if limit is not None:
        parts.append(f'<line class="limit" x1="{x(limit):.1f}" x2="{x(limit):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    parts += _line(x, y, [(drop, new) for drop, new, _ in known], "soft")
    for drop, new, mixture in known:
        chosen = mixture.published
        kind, radius = ("after", 7) if chosen else ("before", 4)
        parts.append(f'<circle class="{kind}" cx="{x(drop):.1f}" cy="{y(new):.1f}" r="{radius}"/>')
        weight = " strong" if chosen else ""
        parts.append(_text(x(drop), y(new) + (18 if new > 0.85 else -11), percent(mixture.alpha), f"middle{weight}"))
    return _chart("Mixtures of base and fine-tuned weights", parts)


def _change(task: ReportedTask) -> str:
    if task.after is None:
        return ""
    return percent(task.after) if task.before is None else f"{percent(task.before)} → {percent(task.after)}"


def _chart(title: str, parts: Iterable[str], height: int = HEIGHT) -> str:
    head = f'<svg viewBox="0 0 {WIDTH} {height}" role="img"><title>{escape(title)}</title>'
    return "".join([head, *parts, "</svg>"])


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    width = (high - low) or 1
    return lambda value: start + (min(max(value, low), max(high, low)) - low) / width * (end - start)


def _grid(
    y: Scale, low: float, high: float, said: Callable[[float], str], end: float = WIDTH - RIGHT, ticks: int = TICKS
) -> Iterator[str]:
    for number in range(ticks + 1):
        value = low + (high - low) * number / ticks
        at = y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{end:g}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield _text(LEFT - 6, at + 4, said(value), "end")


def _bottom(
    x: Scale, low: float, high: float, title: str, said: Callable[[float], str] | None = None, floor: float = 0
) -> Iterator[str]:
    floor = floor or HEIGHT - BOTTOM
    for value, anchor in ((low, "start"), ((low + high) / 2, "middle"), (high, "end")):
        yield _text(x(value), floor + 16, (said or _number)(value), anchor)
    yield _text((x(low) + x(high)) / 2, floor + 33, title, "middle soft")


def _line(x: Scale, y: Scale, points: Points, kind: str, dots: bool = False) -> Iterator[str]:
    placed = [(f"{x(step):.1f}", f"{y(value):.1f}") for step, value in points]
    yield f'<polyline class="line {kind}" points="{" ".join(map(",".join, placed))}"/>'
    if dots and len(placed) <= 40:
        yield from (f'<circle class="{kind}" cx="{at}" cy="{up}" r="3"/>' for at, up in placed)


def _text(x: float, y: float, text: str, kind: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.2g}"


def _points(share: float) -> str:
    return f"{100 * share:z.1f}"  # no -0.0


def _cut(name: str) -> str:
    return name if len(name) <= NAME_CHARS else f"{name[: NAME_CHARS - 1]}…"
