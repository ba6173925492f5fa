"""The two new domains of the learning report, as folders of images per class: what somebody has who has only labels.

digits       scikit-learn's 1,797 scans of handwritten digits, 8 x 8 px, shown at 64 px (Alpaydin and Kaynak 1998)
pictograms   ten everyday things that the rendered world lacks, in strokes
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.learning.pictograms import pictogram

Labelled = Iterator[tuple[Image.Image, str]]

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS_TRAIN = 1200
PICTOGRAMS_TRAIN, PICTOGRAMS_TEST = 500, 300
SHOWN_PX = 64
INK_LEVELS = 16


def digits() -> tuple[Labelled, Labelled]:
    """Handwritten digits, scans of 8 x 8 px shown at 64 px (scikit-learn): 1,200 to train on, 597 to test.

    A class is a folder such as `digit_seven` and said "digit seven"; `one` to `five` alone are numbers of things.
    """
    scans = load_digits()
    order = np.random.default_rng(0).permutation(len(scans.target))

    def labelled(places: np.ndarray) -> Labelled:
        for place in places:
            grey = np.round(scans.images[place] * 255 / INK_LEVELS).astype(np.uint8)
            image = Image.fromarray(grey).resize((SHOWN_PX, SHOWN_PX), Image.Resampling.BICUBIC)
            yield image.convert("RGB"), f"digit_{DIGITS[scans.target[place]]}"

    return labelled(order[:DIGITS_TRAIN]), labelled(order[DIGITS_TRAIN:])


def pictograms() -> tuple[Labelled, Labelled]:
    """Ten everyday things that the world lacks, in pen strokes: 500 drawings to train on and 300 others to test."""
    train = (pictogram(0, index) for index in range(PICTOGRAMS_TRAIN))
    return train, (pictogram(1, index) for index in range(PICTOGRAMS_TEST))


DOMAINS: dict[str, Callable[[], tuple[Labelled, Labelled]]] = {"digits": digits, "pictograms": pictograms}


def write_domain(name: str, directory: Path) -> None:
    """The domain as `train/<class>/<number>.png` and `test/<class>/<number>.png`, unless it is there already."""
    for split, images in zip(("train", "test"), DOMAINS[name](), strict=True):
        if (directory / split).is_dir():
            continue
        aside = directory / f"{split}.part"
        for number, (image, label) in enumerate(images):
            (aside / label).mkdir(parents=True, exist_ok=True)
            image.save(aside / label / f"{number}.png")
        aside.rename(directory / split)
