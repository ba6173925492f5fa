"""Images that look the same: the same picture saved again, shrunk or compressed, has other bytes but these features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.perceptual_hash import NEAR_BITS, NEAR_COLOURS, SIDE, encode

MIN_STEP = 4
"""Of 255, between neighbours: less is the noise of compression."""


@dataclass(frozen=True)
class Look:
    """`gradients`: 64 bits, whether brightness falls from cell to cell (dHash). `colours`: uint8 [8 * 8 * 3]"""

    gradients: int
    colours: NDArray[np.uint8]

    @property
    def perceptual_hash(self) -> str:
        """The look as text; see `contract.perceptual_hash`."""
        return encode(self.gradients, self.colours.tobytes())


def look_of(image: Image.Image) -> Look:
    """What is left of an RGB image when it is seen from very far."""
    grey = image.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    brightness = np.asarray(grey).astype(np.int16)
    falls = brightness[:, :-1] - brightness[:, 1:] > MIN_STEP
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return Look(int.from_bytes(np.packbits(falls).tobytes(), "big"), np.asarray(small).reshape(-1))


def look_alikes(looks: Sequence[Look], others: Sequence[Look]) -> list[tuple[int, int]]:
    """For each look that has them, its own number and that of the first of `others` that looks the same."""
    if not looks or not others:
        return []
    gradients = np.array([other.gradients for other in others], dtype=np.uint64)
    colours = np.stack([other.colours for other in others])
    pairs = []
    for number, look in enumerate(looks):
        near = np.flatnonzero(np.bitwise_count(gradients ^ np.uint64(look.gradients)) <= NEAR_BITS)
        differences = np.abs(colours[near].astype(np.int16) - look.colours).max(axis=1)
        same = near[differences <= NEAR_COLOURS]
        if len(same):
            pairs.append((number, int(same[0])))
    return pairs
