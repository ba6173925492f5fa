"""The two new domains of the learning report, as folders of images per class: what somebody has who has only labels.

digits       1,797 scans of handwritten digits, 8 x 8 px, shown at 64 px (Alpaydin and Kaynak 1998)
pictograms   ten everyday things that the rendered world lacks, in thin strokes by Pillow, not in filled polygons
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

Labelled = Iterator[tuple[Image.Image, str]]
Stroke = list[tuple[float, float]]
"""Points in fractions of a thing's side, around its centre."""

DATA = Path(__file__).parent / "data"
"""Of others: its README.md says whose."""

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS_TRAIN = 1200
DIGIT_PX = 64
INK_LEVELS = 16
PICTOGRAMS_TRAIN, PICTOGRAMS_TEST = 500, 300
PICTOGRAMS_TAUGHT = 2000
PICTOGRAM_PX = 96
PAPERS = ("ivory", "lightyellow", "lavender", "honeydew", "mistyrose", "lightcyan")
INKS = ("navy", "darkgreen", "maroon", "indigo", "black", "saddlebrown")


def _closed(*points: tuple[float, float]) -> Stroke:
    return [*points, points[0], points[1]]  # over the first corner again, so that its joint is round


def _arc(x: float, y: float, radius: float, start: float = 0, end: float = 360) -> Stroke:
    """Part of a circle, in degrees clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 24))
    return [(x + radius * float(np.cos(angle)), y + radius * float(np.sin(angle))) for angle in angles]


PICTOGRAMS: dict[str, list[Stroke]] = {
    "boat": [
        _closed((-0.45, 0.2), (0.45, 0.2), (0.28, 0.42), (-0.28, 0.42)),
        [(0, 0.2), (0, -0.45), (0.32, 0.08), (0, 0.08)],
    ],
    "umbrella": [
        _arc(0, 0, 0.46, 180, 360), [(-0.46, 0), (0.46, 0)], [(0, 0), (0, 0.36)], _arc(0.09, 0.36, 0.09, 0, 180),
    ],
    "key": [_arc(-0.28, 0, 0.18), [(-0.1, 0), (0.46, 0), (0.46, 0.16)], [(0.3, 0), (0.3, 0.13)]],
    "envelope": [
        _closed((-0.46, -0.3), (0.46, -0.3), (0.46, 0.3), (-0.46, 0.3)), [(-0.46, -0.3), (0, 0.06), (0.46, -0.3)],
    ],
    "clock": [_arc(0, 0, 0.45), [(0, -0.3), (0, 0), (0.2, 0.1)]],
    "ladder": [
        *([(x, -0.46), (x, 0.46)] for x in (-0.18, 0.18)), *([(-0.18, y), (0.18, y)] for y in (-0.3, -0.1, 0.1, 0.3)),
    ],
    "mushroom": [
        _arc(0, 0, 0.42, 180, 360), [(-0.42, 0), (0.42, 0)], [(-0.12, 0), (-0.16, 0.42), (0.16, 0.42), (0.12, 0)],
    ],
    "bell": [
        _arc(0, -0.12, 0.26, 180, 360),
        [(-0.26, -0.12), (-0.4, 0.28), (0.4, 0.28), (0.26, -0.12)],
        _arc(0, 0.36, 0.07),
    ],
    "glasses": [
        _arc(-0.26, 0.05, 0.18), _arc(0.26, 0.05, 0.18), _arc(0, 0.02, 0.09, 180, 360),
        [(-0.44, 0.0), (-0.48, -0.2)], [(0.44, 0.0), (0.48, -0.2)],
    ],
    "scissors": [
        stroke
        for side in (-1, 1)
        for stroke in ([(side * 0.22, -0.46), (-side * 0.15, 0.16)], _arc(-side * 0.2, 0.3, 0.14))
    ],
}  # fmt: skip


def pictogram(seed: int, index: int) -> tuple[Image.Image, str]:
    """One drawing, leaning and placed somewhere on its paper, and its name; the names take turns. A pure function of
    its arguments, so the same command draws the same dataset anywhere. 96 x 96 px, RGB
    """
    rng = np.random.default_rng((seed, index))
    name = list(PICTOGRAMS)[index % len(PICTOGRAMS)]
    image = Image.new("RGB", (PICTOGRAM_PX, PICTOGRAM_PX), str(rng.choice(PAPERS)))
    canvas, ink, width = ImageDraw.Draw(image), str(rng.choice(INKS)), int(rng.integers(3, 6))
    side = rng.uniform(0.55, 0.85) * PICTOGRAM_PX
    room = (PICTOGRAM_PX - side) / 2
    centre = PICTOGRAM_PX / 2 + rng.uniform(-room, room, 2)
    angle = rng.uniform(-0.2, 0.2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for stroke in PICTOGRAMS[name]:
        placed = np.array(stroke) @ turn.T * side + centre
        canvas.line([tuple(point) for point in placed.tolist()], fill=ink, width=width, joint="curve")
    return image, name


def digits() -> tuple[Labelled, Labelled]:
    """Handwritten digits, scans of 8 x 8 px shown at 64 px: 1,200 to train on, 597 to test.

    A class is a folder such as `digit_seven` and said "digit seven"; `one` to `five` alone are numbers of things.
    """
    rows = np.loadtxt(DATA / "digits.csv.gz", dtype=np.uint8, delimiter=",")
    scans, targets = rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]
    order = np.random.default_rng(0).permutation(len(rows))

    def labelled(places: np.ndarray) -> Labelled:
        for place in places:
            grey = np.round(scans[place] * (255 / INK_LEVELS)).astype(np.uint8)
            image = Image.fromarray(grey).resize((DIGIT_PX, DIGIT_PX), Image.Resampling.BICUBIC)
            yield image.convert("RGB"), f"digit_{DIGITS[targets[place]]}"

    return labelled(order[:DIGITS_TRAIN]), labelled(order[DIGITS_TRAIN:])


def pictograms() -> tuple[Labelled, Labelled]:
    """Ten everyday things that the world lacks, in pen strokes: 500 drawings to train on and 300 others to test."""
    train = (pictogram(0, index) for index in range(PICTOGRAMS_TRAIN))
    return train, (pictogram(1, index) for index in range(PICTOGRAMS_TEST))


DOMAINS: dict[str, Callable[[], tuple[Labelled, Labelled]]] = {"digits": digits, "pictograms": pictograms}


def more_pictograms() -> tuple[Labelled, Labelled]:
    """The same things in 2,000 drawings to be taught by, of another seed, and the same 300 others to test."""
    return (pictogram(2, index) for index in range(PICTOGRAMS_TAUGHT)), pictograms()[1]


def write_domain(name: str, directory: Path) -> None:
    """The domain as `train/<class>/<number>.png` and `test/<class>/<number>.png`, unless it is there already."""
    write_images(DOMAINS[name](), directory)


def write_images(splits: tuple[Labelled, Labelled], directory: Path) -> None:
    """Images of both splits likewise."""
    for split, images in zip(("train", "test"), splits, strict=True):
        if (directory / split).is_dir():
            continue
        aside = directory / f"{split}.part"
        for number, (image, label) in enumerate(images):
            (aside / label).mkdir(parents=True, exist_ok=True)
            image.save(aside / label / f"{number}.png")
        aside.rename(directory / split)
