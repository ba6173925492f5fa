"""The new domains of the learning reports: two as folders of images per class, what somebody has who has only labels,
and one with sentences beside the labels.

digits            1,797 scans of handwritten digits, 8 x 8 px, shown at 64 px (Alpaydin and Kaynak 1998)
pictograms        ten everyday things that the rendered world lacks, in thin strokes by Pillow, not in filled polygons
told pictograms   the same things, each drawing with three sentences of its own that don't name it
"""

import json
from collections.abc import Callable, Iterator, Sequence
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
FIRST_SEED = 10
"""Those below draw other sets."""
TOLD_TEST_SEED = 3
PICTOGRAM_PX = 96
PAPERS = ("ivory", "lightyellow", "lavender", "honeydew", "mistyrose", "lightcyan")
INKS = ("navy", "darkgreen", "maroon", "indigo", "black", "saddlebrown")
TOLD_INKS = {
    "red": "crimson", "blue": "royalblue", "green": "forestgreen", "orange": "darkorange", "purple": "purple",
    "black": "black",
}  # fmt: skip
"""As sentences say them, and as Pillow does: such that whoever sees two can tell them apart."""
TOLD_AS = {
    "boat": "a hull with a mast and a sail",
    "umbrella": "a canopy on a stick with a curved handle",
    "key": "a ring with a shaft and two teeth",
    "envelope": "a folded letter under its flap",
    "clock": "a dial with two hands",
    "ladder": "two rails joined by four rungs",
    "mushroom": "a round cap on a thick stem",
    "bell": "a flaring dome with a clapper",
    "glasses": "two lenses and a bridge between them",
    "scissors": "two crossing blades with finger loops",
}
TOLD_IN_TRAINING = (
    "{thing} in {ink} ink", "somebody drew {thing} with a {ink} pen", "a {ink} sketch of {thing}",
    "{ink} strokes that show {thing}", "on this paper there is {thing}, drawn in {ink}", "drawn in {ink}: {thing}",
)  # fmt: skip
TOLD_IN_TEST = (
    "{ink} lines make {thing}", "this is {thing}, and all of it is {ink}", "what the {ink} pen drew is {thing}",
)  # fmt: skip
SENTENCES_EACH = 3


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


def pictogram(seed: int, index: int, inks: Sequence[str] = INKS) -> tuple[Image.Image, str]:
    """One drawing, leaning and placed somewhere on its paper, and its name; the names take turns. A pure function of
    its arguments, so the same command draws the same dataset anywhere. 96 x 96 px, RGB
    """
    rng = np.random.default_rng((seed, index))
    name = list(PICTOGRAMS)[index % len(PICTOGRAMS)]
    image = Image.new("RGB", (PICTOGRAM_PX, PICTOGRAM_PX), str(rng.choice(PAPERS)))
    canvas, ink, width = ImageDraw.Draw(image), str(rng.choice(inks)), int(rng.integers(3, 6))
    side = rng.uniform(0.55, 0.85) * PICTOGRAM_PX
    room = (PICTOGRAM_PX - side) / 2
    centre = PICTOGRAM_PX / 2 + rng.uniform(-room, room, 2)
    angle = rng.uniform(-0.2, 0.2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for stroke in PICTOGRAMS[name]:
        placed = np.array(stroke) @ turn.T * side + centre
        canvas.line([tuple(point) for point in placed.tolist()], fill=ink, width=width, joint="curve")
    return image, name


def digits(seed: int = 0) -> tuple[Labelled, Labelled]:
    """Handwritten digits, scans of 8 x 8 px shown at 64 px: 1,200 to train on, 597 to test.

    A class is a folder such as `digit_seven` and said "digit seven"; `one` to `five` alone are numbers of things.
    `seed` draws which ones are trained on.
    """
    rows = np.loadtxt(DATA / "digits.csv.gz", dtype=np.uint8, delimiter=",")
    scans, targets = rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]
    order = np.random.default_rng(seed).permutation(len(rows))

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


def drawn_pictograms(each: int, seed: int) -> tuple[Labelled, Labelled]:
    """So many drawings of each thing, by a seed that no other set here has, and the 300 others to test."""
    train = (pictogram(FIRST_SEED + seed, index) for index in range(each * len(PICTOGRAMS)))
    return train, pictograms()[1]


def write_told_pictograms(each: int, seed: int, directory: Path) -> None:
    """So many drawings of each thing and 300 to test, as images beside a `metadata.jsonl`, unless they are there
    already. Each has its label, and three sentences that say what is drawn in which ink without naming it; the test's
    are worded as none of the training's.
    """
    for split, drawn_by, images in (
        ("train", FIRST_SEED + seed, each * len(PICTOGRAMS)),
        ("test", TOLD_TEST_SEED, PICTOGRAMS_TEST),
    ):
        if (directory / split).is_dir():
            continue
        aside = directory / f"{split}.part"
        aside.mkdir(parents=True, exist_ok=True)
        rows = []
        for index in range(images):
            rng = np.random.default_rng((drawn_by, index, 1))
            ink = str(rng.choice(list(TOLD_INKS)))
            image, label = pictogram(drawn_by, index, (TOLD_INKS[ink],))
            image.save(aside / f"{index}.png")
            wordings = TOLD_IN_TRAINING if split == "train" else TOLD_IN_TEST
            chosen = rng.choice(wordings, SENTENCES_EACH, replace=False)
            sentences = [str(wording).format(thing=TOLD_AS[label], ink=ink) for wording in chosen]
            rows.append({"image": f"{index}.png", "label": label, "captions": sentences})
        (aside / "metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        aside.rename(directory / split)


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
