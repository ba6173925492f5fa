"""Ten things that the rendered world lacks, drawn in another way: thin strokes with Pillow, not filled polygons.

Each image is a pure function of (seed, index), so the same command draws the same dataset anywhere.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

SIDE = 96
PAPERS = ("ivory", "lightyellow", "lavender", "honeydew", "mistyrose", "lightcyan")
INKS = ("navy", "darkgreen", "maroon", "indigo", "black", "saddlebrown")

Points = list[tuple[float, float]]


class Pen:
    """Strokes in fractions of a thing's side around its centre, leaning and placed somewhere on the paper."""

    def __init__(self, image: Image.Image, rng: np.random.Generator) -> None:
        self.canvas = ImageDraw.Draw(image)
        self.ink = str(rng.choice(INKS))
        self.width = int(rng.integers(3, 6))
        self.side = rng.uniform(0.55, 0.85) * SIDE
        room = (SIDE - self.side) / 2
        self.centre = SIDE / 2 + rng.uniform(-room, room, 2)
        angle = rng.uniform(-0.2, 0.2)
        self.turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def line(self, *points: tuple[float, float]) -> None:
        """An open stroke through the points."""
        placed = np.array(points) @ self.turn.T * self.side + self.centre
        self.canvas.line([tuple(point) for point in placed.tolist()], fill=self.ink, width=self.width, joint="curve")

    def loop(self, *points: tuple[float, float]) -> None:
        """A closed stroke."""
        self.line(*points, points[0], points[1])

    def arc(self, x: float, y: float, radius: float, start: float = 0, end: float = 360, squeeze: float = 1) -> None:
        """Part of an ellipse, in degrees clockwise from the right; `squeeze` is its height over its width."""
        angles = np.radians(np.linspace(start, end, 24))
        points = np.stack([x + radius * np.cos(angles), y + radius * squeeze * np.sin(angles)], axis=1)
        self.line(*((float(a), float(b)) for a, b in points))


def _boat(pen: Pen) -> None:
    pen.loop((-0.45, 0.2), (0.45, 0.2), (0.28, 0.42), (-0.28, 0.42))
    pen.line((0, 0.2), (0, -0.45), (0.32, 0.08), (0, 0.08))


def _umbrella(pen: Pen) -> None:
    pen.arc(0, 0, 0.46, 180, 360)
    pen.line((-0.46, 0), (0.46, 0))
    pen.line((0, 0), (0, 0.36))
    pen.arc(0.09, 0.36, 0.09, 0, 180)


def _key(pen: Pen) -> None:
    pen.arc(-0.28, 0, 0.18)
    pen.line((-0.1, 0), (0.46, 0), (0.46, 0.16))
    pen.line((0.3, 0), (0.3, 0.13))


def _envelope(pen: Pen) -> None:
    pen.loop((-0.46, -0.3), (0.46, -0.3), (0.46, 0.3), (-0.46, 0.3))
    pen.line((-0.46, -0.3), (0, 0.06), (0.46, -0.3))


def _clock(pen: Pen) -> None:
    pen.arc(0, 0, 0.45)
    pen.line((0, -0.3), (0, 0), (0.2, 0.1))


def _ladder(pen: Pen) -> None:
    for x in (-0.18, 0.18):
        pen.line((x, -0.46), (x, 0.46))
    for y in (-0.3, -0.1, 0.1, 0.3):
        pen.line((-0.18, y), (0.18, y))


def _mushroom(pen: Pen) -> None:
    pen.arc(0, 0, 0.42, 180, 360)
    pen.line((-0.42, 0), (0.42, 0))
    pen.line((-0.12, 0), (-0.16, 0.42), (0.16, 0.42), (0.12, 0))


def _bell(pen: Pen) -> None:
    pen.arc(0, -0.12, 0.26, 180, 360)
    pen.line((-0.26, -0.12), (-0.4, 0.28), (0.4, 0.28), (0.26, -0.12))
    pen.arc(0, 0.36, 0.07)


def _glasses(pen: Pen) -> None:
    for x in (-0.26, 0.26):
        pen.arc(x, 0.05, 0.18)
    pen.arc(0, 0.02, 0.09, 180, 360)
    pen.line((-0.44, 0.0), (-0.48, -0.2))
    pen.line((0.44, 0.0), (0.48, -0.2))


def _scissors(pen: Pen) -> None:
    for side in (-1, 1):
        pen.line((side * 0.22, -0.46), (-side * 0.15, 0.16))
        pen.arc(-side * 0.2, 0.3, 0.14)


PICTOGRAMS: dict[str, Callable[[Pen], None]] = {
    "boat": _boat,
    "umbrella": _umbrella,
    "key": _key,
    "envelope": _envelope,
    "clock": _clock,
    "ladder": _ladder,
    "mushroom": _mushroom,
    "bell": _bell,
    "glasses": _glasses,
    "scissors": _scissors,
}


def pictogram(seed: int, index: int) -> tuple[Image.Image, str]:
    """One drawing and its name; the names take turns. 96 x 96 px, RGB"""
    rng = np.random.default_rng((seed, index))
    name = list(PICTOGRAMS)[index % len(PICTOGRAMS)]
    image = Image.new("RGB", (SIDE, SIDE), str(rng.choice(PAPERS)))
    PICTOGRAMS[name](Pen(image, rng))
    return image, name
