"""Scene to pixels: anti-aliased by drawing at twice the size, with the variety of light, noise and pen a camera or a
paint program would bring.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from model.world.outlines import OUTLINES, Points
from model.world.scene import Placement, Scene

Pixels = NDArray[np.uint8]  # shape = [IMAGE_SIZE, IMAGE_SIZE, 3]
Rgb = tuple[int, int, int]

IMAGE_SIZE = 64
CANVAS = 2 * IMAGE_SIZE

# Two or three paints per colour word, the pure one first; a scene takes a point between two of them.
PAINTS: dict[str, tuple[Rgb, ...]] = {
    "red": ((255, 0, 0), (200, 24, 30), (230, 60, 50)),
    "orange": ((255, 140, 0), (240, 120, 30), (255, 165, 0)),
    "yellow": ((255, 255, 0), (250, 215, 40), (240, 220, 80)),
    "green": ((0, 160, 0), (30, 190, 60), (40, 120, 50)),
    "blue": ((0, 0, 255), (40, 80, 220), (20, 50, 150)),
    "purple": ((128, 0, 128), (110, 50, 170), (150, 60, 200)),
    "pink": ((255, 150, 190), (255, 105, 180), (245, 175, 200)),
    "brown": ((139, 69, 19), (110, 66, 35), (150, 95, 50)),
    "black": ((0, 0, 0), (30, 30, 34), (45, 42, 45)),
    "white": ((255, 255, 255), (240, 240, 240), (250, 246, 238)),
}
GROUNDS: dict[str, tuple[Rgb, ...]] = {
    "white": ((255, 255, 255), (244, 244, 240)),
    "black": ((0, 0, 0), (34, 34, 38)),
    "grey": ((128, 128, 128), (160, 160, 165)),
    "sky": ((120, 185, 240), (175, 215, 250)),
    "grass": ((80, 160, 60), (110, 185, 85)),
    "sand": ((225, 200, 150), (205, 175, 125)),
}
PALE = ("white", "yellow", "pink", "orange")


def draw(scene: Scene, rng: np.random.Generator) -> Pixels:
    """The scene as an RGB image. shape = [64, 64, 3]"""
    canvas = _ground(scene.background, rng)
    paint = _mix(PAINTS[scene.colour], rng)
    _stamps(canvas, scene.shape, scene.placements, _fill(scene, paint, rng), paint, rng)
    if scene.companion:
        paint = _mix(PAINTS[scene.companion.colour], rng)
        fill = Image.new("RGB", (CANVAS, CANVAS), paint)
        _stamps(canvas, scene.companion.shape, (scene.companion.placement,), fill, paint, rng)
    return _expose(np.asarray(canvas.reduce(2), dtype=np.float32), rng)


def _mix(paints: tuple[Rgb, ...], rng: np.random.Generator) -> Rgb:
    """A quarter of the time the pure paint, else somewhere between two of the paints."""
    if rng.random() < 0.25:
        return paints[0]
    first, second = rng.integers(0, len(paints), 2)
    share = rng.random()
    mixed = share * np.array(paints[first]) + (1 - share) * np.array(paints[second]) + rng.uniform(-8, 8, 3)
    red, green, blue = np.clip(mixed, 0, 255).astype(int).tolist()
    return red, green, blue


def _ground(name: str, rng: np.random.Generator) -> Image.Image:
    colour = np.array(_mix(GROUNDS[name], rng), dtype=np.float32)
    if name in ("grass", "sand"):
        grain = rng.normal(0, 12, (32, 32, 1)).astype(np.float32)
        patch = np.clip(colour + grain, 0, 255).astype(np.uint8)
        return Image.fromarray(patch).resize((CANVAS, CANVAS), Image.Resampling.BILINEAR)
    slope = rng.uniform(-18, 28) if name == "sky" else rng.uniform(-10, 10) * (rng.random() < 0.3)
    rows = np.clip(colour + np.linspace(-slope, slope, CANVAS)[:, None], 0, 255).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(rows[:, None], (CANVAS, CANVAS, 3)).copy())


def _fill(scene: Scene, paint: Rgb, rng: np.random.Generator) -> Image.Image:
    """What the bodies are cut from: the paint, or the paint with a second one in a pattern."""
    if scene.texture == "plain":
        return Image.new("RGB", (CANVAS, CANVAS), paint)
    second = (30, 30, 35) if scene.colour in PALE else (250, 250, 250)
    period = max(10.0, scene.placements[0].side * CANVAS * rng.uniform(0.2, 0.28))
    y, x = np.mgrid[0:CANVAS, 0:CANVAS] / period + rng.random((2, 1, 1))
    if scene.texture == "striped":
        across, down = ((1, 0), (0, 1), (0.75, 0.75))[int(rng.integers(3))]
        second_here = (across * x + down * y) % 1 < 0.45
    elif scene.texture == "dotted":
        second_here = (x % 1 - 0.5) ** 2 + (y % 1 - 0.5) ** 2 < 0.085
    else:
        second_here = (np.floor(2 * x) + np.floor(2 * y)) % 2 == 0
    return Image.fromarray(np.where(second_here[..., None], second, paint).astype(np.uint8))


def _stamps(
    canvas: Image.Image,
    shape: str,
    places: tuple[Placement, ...],
    fill: Image.Image,
    paint: Rgb,
    rng: np.random.Generator,
) -> None:
    contoured, mirrored = rng.random() < 0.3, rng.random() < 0.5
    detail = ImageDraw.Draw(canvas)
    for at in places:
        parts = [(_place(part.points, at, mirrored), part.paint) for part in OUTLINES[shape]]
        body = Image.new("L", canvas.size, 0)
        pen = ImageDraw.Draw(body)
        for points, colour in parts:
            if colour in ("body", "hole"):
                pen.polygon(points, fill=255 if colour == "body" else 0)
        fixed = [(points, colour) for points, colour in parts if not isinstance(colour, str)]
        behind = 0 if isinstance(parts[0][1], str) else 1
        for points, colour in fixed[:behind]:
            detail.polygon(points, fill=colour)
        canvas.paste(fill, (0, 0), body)
        if contoured and len(parts) == 1:
            detail.line([*parts[0][0], *parts[0][0][:2]], fill=cast(Rgb, tuple(int(c * 0.35) for c in paint)), width=3)
        for points, colour in fixed[behind:]:
            detail.polygon(points, fill=colour)


def _place(points: Points, at: Placement, mirrored: bool) -> list[tuple[float, float]]:
    """Fractions of the object's side to canvas pixels."""
    cos, sin = np.cos(at.turn), np.sin(at.turn)
    turned = (points * (-1 if mirrored else 1, 1)) @ np.array([[cos, sin], [-sin, cos]])
    return [tuple(xy) for xy in ((turned * at.side + (at.x, at.y)) * CANVAS).tolist()]


def _expose(pixels: NDArray[np.float32], rng: np.random.Generator) -> Pixels:
    """Brightness and sensor noise on half of the images each; clean drawings stay clean."""
    if rng.random() < 0.4:
        pixels = pixels * np.float32(rng.uniform(0.82, 1.1))
    if rng.random() < 0.4:
        pixels = pixels + rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(rng.uniform(2, 9))
    return np.clip(pixels, 0, 255).astype(np.uint8)
