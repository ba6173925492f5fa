"""The world's shapes and pictograms as polygons.

Coordinates are fractions of the object's side, centred on (0, 0), x to the right, y down. Everything is a polygon, also
what is round, so that one affine transform turns, mirrors and places every part.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # shape = [corners, 2]
Paint = Literal["body", "hole"] | tuple[int, int, int]

DARK = (40, 36, 40)
LIGHT = (225, 238, 245)
WOOD = (112, 72, 40)
LEAF = (52, 140, 60)
HONEY = (250, 200, 40)
TILES = (128, 60, 48)


@dataclass(frozen=True)
class Part:
    """One polygon: painted in the object's own colour (`body`), cut out of it (`hole`), or in a fixed RGB colour."""

    points: Points
    paint: Paint = "body"


def polygon(*corners: tuple[float, float]) -> Points:
    """Corners as an array."""
    return np.array(corners, dtype=np.float64)


def ellipse(x: float, y: float, width: float, height: float, corners: int = 28) -> Points:
    """An ellipse around (x, y)."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack([x + np.cos(angle) * width / 2, y + np.sin(angle) * height / 2], axis=1)


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """An upright rectangle."""
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


def spikes(count: int, outer: float, inner: float) -> Points:
    """A star polygon with `count` tips, the first pointing up."""
    angle = np.pi * np.arange(2 * count) / count - np.pi / 2
    radius = np.where(np.arange(2 * count) % 2 == 0, outer, inner)
    return np.stack([np.cos(angle) * radius, np.sin(angle) * radius], axis=1)


def _heart() -> Points:
    t = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x / 33, (y - 2.5) / 31], axis=1)


def _smile() -> Points:
    angle = np.linspace(0.12 * np.pi, 0.88 * np.pi, 12)
    lower = np.stack([np.cos(angle) * 0.28, np.sin(angle) * 0.3 + 0.04], axis=1)
    upper = np.stack([np.cos(angle[::-1]) * 0.26, np.sin(angle[::-1]) * 0.2 + 0.04], axis=1)
    return np.concatenate([lower, upper])


CROSS = polygon(
    (-0.16, -0.48), (0.16, -0.48), (0.16, -0.16), (0.48, -0.16), (0.48, 0.16), (0.16, 0.16),
    (0.16, 0.48), (-0.16, 0.48), (-0.16, 0.16), (-0.48, 0.16), (-0.48, -0.16), (-0.16, -0.16),
)  # fmt: skip
ARROW = polygon((-0.5, -0.13), (0.08, -0.13), (0.08, -0.36), (0.5, 0), (0.08, 0.36), (0.08, 0.13), (-0.5, 0.13))
PETAL_ANGLES = 2 * np.pi * np.arange(6) / 6

OUTLINES: dict[str, list[Part]] = {
    "circle": [Part(ellipse(0, 0, 1, 1))],
    "square": [Part(box(-0.45, -0.45, 0.45, 0.45))],
    "triangle": [Part(polygon((0, -0.46), (0.5, 0.42), (-0.5, 0.42)))],
    "star": [Part(spikes(5, 0.52, 0.21))],
    "cross": [Part(CROSS)],
    "ring": [Part(ellipse(0, 0, 1, 1)), Part(ellipse(0, 0, 0.54, 0.54), "hole")],
    "heart": [Part(_heart())],
    "diamond": [Part(polygon((0, -0.52), (0.36, 0), (0, 0.52), (-0.36, 0)))],
    "arrow": [Part(ARROW)],
    "moon": [Part(ellipse(0, 0, 1, 1)), Part(ellipse(0.26, -0.05, 0.8, 0.84), "hole")],
    "sun": [Part(spikes(9, 0.5, 0.27)), Part(ellipse(0, 0, 0.58, 0.58))],
    "tree": [
        Part(box(-0.08, 0.08, 0.08, 0.5), WOOD),
        Part(ellipse(0, -0.16, 0.64, 0.6)),
        Part(ellipse(-0.2, 0.0, 0.42, 0.36)),
        Part(ellipse(0.2, 0.0, 0.42, 0.36)),
    ],
    "house": [
        Part(box(-0.38, -0.08, 0.38, 0.46)),
        Part(polygon((-0.5, -0.06), (0, -0.5), (0.5, -0.06)), TILES),
        Part(box(-0.26, 0.08, -0.04, 0.28), LIGHT),
        Part(box(0.08, 0.1, 0.26, 0.46), DARK),
    ],
    "fish": [
        Part(polygon((0.16, 0), (0.5, -0.26), (0.5, 0.26))),
        Part(ellipse(-0.1, 0, 0.78, 0.46)),
        Part(ellipse(-0.3, -0.06, 0.09, 0.09), DARK),
    ],
    "car": [
        Part(polygon((-0.28, 0.0), (-0.17, -0.24), (0.17, -0.24), (0.3, 0.0))),
        Part(box(-0.5, -0.03, 0.5, 0.2)),
        Part(polygon((-0.19, -0.02), (-0.12, -0.17), (-0.01, -0.17), (-0.01, -0.02)), LIGHT),
        Part(polygon((0.04, -0.02), (0.04, -0.17), (0.13, -0.17), (0.2, -0.02)), LIGHT),
        Part(ellipse(-0.27, 0.2, 0.22, 0.22), DARK),
        Part(ellipse(0.27, 0.2, 0.22, 0.22), DARK),
    ],
    "cup": [
        Part(ellipse(0.26, -0.02, 0.42, 0.46)),
        Part(ellipse(0.26, -0.02, 0.24, 0.27), "hole"),
        Part(polygon((-0.42, -0.36), (0.26, -0.36), (0.18, 0.4), (-0.34, 0.4))),
    ],
    "face": [
        Part(ellipse(0, 0, 0.98, 0.98)),
        *(Part(ellipse(x, -0.12, 0.12, 0.15), DARK) for x in (-0.18, 0.18)),
        Part(_smile(), DARK),
    ],
    "flower": [
        Part(box(-0.03, 0.05, 0.03, 0.5), LEAF),
        Part(ellipse(0.13, 0.36, 0.24, 0.1), LEAF),
        *(Part(ellipse(0.19 * np.cos(a), -0.17 + 0.19 * np.sin(a), 0.25, 0.25)) for a in PETAL_ANGLES),
        Part(ellipse(0, -0.17, 0.22, 0.22), HONEY),
    ],
}
