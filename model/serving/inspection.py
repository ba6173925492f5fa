"""The "inspect" operation: is it an image, and which one? Only the container opens images, so the API asks it."""

import hashlib

from contract.answers import Inspection
from model.clip.image import media_type_of, open_image
from model.clip.perceptual_hash import fingerprint


def inspect(data: bytes) -> Inspection:
    """What is to be known of an image file before it is kept. Raises what `open_image` raises."""
    image = open_image(data)
    return Inspection(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        media_type=media_type_of(data),
        width=image.width,
        height=image.height,
        perceptual_hash=fingerprint(image).perceptual_hash,
    )
