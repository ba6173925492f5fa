"""The "inspect" operation: is it an image, and which one? Only the container opens images, so the API asks it."""

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.answers import ImageFacts
from model.clip.image import DRAFT_OVERSIZE, WHOLE_PIXELS, Pixels, media_type_of, open_pixels
from model.clip.lookahead import JPEG_MAGIC
from model.clip.perceptual_hash import fingerprint
from model.clip.preparation import Preparation


def inspect(data: bytes, preparation: Preparation) -> tuple[ImageFacts, NDArray[np.uint8]]:
    """What is to be known of an image file before it is kept, and its pixels as `preparation` makes them for the model,
    uint8 [3, height, width]. Raises what `open_pixels` raises.
    """
    pixels, _ = open_pixels(data)
    height, width, _ = pixels.shape
    facts = ImageFacts(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        media_type=media_type_of(data),
        width=width,
        height=height,
        perceptual_hash=fingerprint(Image.fromarray(pixels)).perceptual_hash,
    )
    if _may_be_shrunk(data, pixels, preparation):
        del pixels  # one of them is enough to have in memory
        pixels, _ = preparation.open(data)
    return facts, preparation.resize(pixels)


def _may_be_shrunk(data: bytes, pixels: Pixels, preparation: Preparation) -> bool:
    """Whether the preparation opens a file otherwise than whole: the model is to see what it sees when it is asked."""
    height, width, _ = pixels.shape
    if preparation.short_side is None or min(height, width) < 2 * DRAFT_OVERSIZE * preparation.short_side:
        return False
    return data.startswith(JPEG_MAGIC) or width * height > WHOLE_PIXELS
