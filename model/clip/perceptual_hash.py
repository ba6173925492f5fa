"""Near duplicates: an image saved again, shrunk or compressed, has other bytes but nearly the same fingerprint."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.perceptual_hash import NEAR_BITS, NEAR_COLOURS, SIDE, encode

MIN_STEP = 4
"""Of 255, between neighbours: less is the noise of compression."""


@dataclass(frozen=True)
class Fingerprint:
    """`gradients`: 64 bits, whether brightness falls from cell to cell (dHash). `colours`: uint8 [8 * 8 * 3]"""

    gradients: int
    colours: NDArray[np.uint8]

    @property
    def perceptual_hash(self) -> str:
        """The fingerprint as text; see `contract.perceptual_hash`."""
        return encode(self.gradients, self.colours.tobytes())


def fingerprint(image: Image.Image) -> Fingerprint:
    """The fingerprint of an RGB image."""
    grey = image.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    brightness = np.asarray(grey).astype(np.int16)
    falls = brightness[:, :-1] - brightness[:, 1:] > MIN_STEP
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return Fingerprint(int.from_bytes(np.packbits(falls).tobytes(), "big"), np.asarray(small).reshape(-1))


def near_duplicates(images: Sequence[Fingerprint], others: Sequence[Fingerprint]) -> list[tuple[int, int]]:
    """The index of each image that has a near duplicate among `others`, with the index of its first one there."""
    if not images or not others:
        return []
    gradients = np.array([other.gradients for other in others], dtype=np.uint64)
    colours = np.stack([other.colours for other in others])
    pairs = []
    for index, image in enumerate(images):
        near = np.flatnonzero(np.bitwise_count(gradients ^ np.uint64(image.gradients)) <= NEAR_BITS)
        differences = np.abs(colours[near].astype(np.int16) - image.colours).max(axis=1)
        same = near[differences <= NEAR_COLOURS]
        if len(same):
            pairs.append((index, int(same[0])))
    return pairs
