"""How many pixels one request may have decoded, counted before any is."""

from collections.abc import Sequence

from contract.limits import MAX_REQUEST_PIXELS
from contract.problems import PayloadTooLarge
from contract.requests import ImageSource
from model.clip.image import DRAFT_OVERSIZE
from model.clip.lookahead import JPEG_MAGIC, declared_size

JPEG_SCALES = (8, 4, 2)
"""By how much libjpeg can shrink a side while it decodes."""


def within_budget(images: Sequence[ImageSource], short_side: int | None) -> list[ImageSource]:
    """The images, and in the place of each that exceeds the budget its problem. The first one always fits."""
    spent = 0
    kept: list[ImageSource] = []
    for image in images:
        pixels = decoded_pixels(image, short_side) if isinstance(image, bytes) else 0
        if spent and spent + pixels > MAX_REQUEST_PIXELS:
            kept.append(
                PayloadTooLarge(
                    f"the images before this one have {spent:,} pixels to decode and this one {pixels:,}, at most "
                    f"{MAX_REQUEST_PIXELS:,} are allowed in one request: send it in another one, or shrink them to "
                    "1024 px on the longer side"
                )
            )
        else:
            spent += pixels
            kept.append(image)
    return kept


def decoded_pixels(data: bytes, short_side: int | None) -> int:
    """How many a file says that it has, of a JPEG those that are left when it is shrunk for `short_side`; 0 if it does
    not say.
    """
    width, height = declared_size(data) or (0, 0)
    if short_side is not None and data.startswith(JPEG_MAGIC):
        scale = min(width, height) // (DRAFT_OVERSIZE * short_side)
        by = next((each for each in JPEG_SCALES if each <= scale), 1)
        width, height = -(-width // by), -(-height // by)
    return width * height
