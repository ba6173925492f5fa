"""A learning curve as SVG: no plotting library has to be in the container for two lines."""

from collections.abc import Mapping, Sequence

CURVE = "learning_curve.svg"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 280, 56, 56, 28, 40
LINES = (("validation_loss", "#c0392b"), ("validation_accuracy", "#1f6fb2"))
TICKS = 4


def curve_svg(points: Sequence[Mapping[str, float]]) -> str:
    """Validation loss on the left axis and accuracy on the right one, over steps. Each point has a `step`."""
    last = max(point["step"] for point in points) or 1
    highest = max(point["validation_loss"] for point in points) or 1.0
    tops = {"validation_loss": highest, "validation_accuracy": 1.0}
    parts = [_ticks(tops, last)]
    for name, colour in LINES:
        places = " ".join(f"{_x(p['step'] / last):.1f},{_y(p[name] / tops[name]):.1f}" for p in points)
        parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12"><title>Validation loss and accuracy over the steps</title>\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _ticks(tops: Mapping[str, float], last: float) -> str:
    (loss, red), (accuracy, blue) = LINES
    marks = [_text(LEFT, 16, "start", "loss", red), _text(WIDTH - RIGHT, 16, "end", "accuracy", blue)]
    marks.append(_text(WIDTH / 2, HEIGHT - 6, "middle", "step", "#333333"))
    for tick in range(TICKS + 1):
        share = tick / TICKS
        y = _y(share)
        marks.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
        marks.append(_text(LEFT - 6, y + 4, "end", f"{share * tops[loss]:.3g}", red))
        marks.append(_text(WIDTH - RIGHT + 6, y + 4, "start", f"{share * tops[accuracy]:.2f}", blue))
        marks.append(_text(_x(share), HEIGHT - BOTTOM + 18, "middle", f"{share * last:.0f}", "#333333"))
    return "\n".join(marks)


def _text(x: float, y: float, anchor: str, words: str, colour: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'
