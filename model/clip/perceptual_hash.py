"""Near duplicates: an image saved again, shrunk or compressed, has other bytes but nearly the same fingerprint."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.perceptual_hash import COLOURS, NEAR_BITS, NEAR_COLOURS, NEAR_NOISE, NEAR_SHARE, SIDE, encode

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
    colours = np.stack([other.colours for other in others]).astype(np.int32)
    spreads = _spreads(colours)
    pairs = []
    for index, image in enumerate(images):
        near = np.flatnonzero(np.bitwise_count(gradients ^ np.uint64(image.gradients)) <= NEAR_BITS)
        apart = colours[near] - image.colours
        squares = (apart**2).sum(axis=1)
        own = NEAR_SHARE * np.minimum(spreads[near], _spreads(image.colours[None]))
        alike = (squares <= NEAR_NOISE * COLOURS) | (squares <= own)
        same = near[(np.abs(apart).max(axis=1) <= NEAR_COLOURS) & alike]
        if len(same):
            pairs.append((index, int(same[0])))
    return pairs


def _spreads(colours: NDArray[np.generic]) -> NDArray[np.float64]:
    """How far the colours [images, 8 * 8 * 3] of an image's cells are from their mean, squared and summed up."""
    cells = colours.reshape(len(colours), -1, 3).astype(np.float64)
    spreads: NDArray[np.float64] = ((cells - cells.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2))
    return spreads
