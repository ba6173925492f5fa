"""Pixels of more than 8 bits, or that are no whole numbers: to 8 bits by what the file says they mean.

TIFF 6.0: PhotometricInterpretation says whether 0 is black or white, BitsPerSample and SampleFormat what the numbers
are, and Min/MaxSampleValue (SMin/SMax for signed ones and floats) between which of them black and white lie. Few files
say that. Then whole numbers lie between 0 and the most that a usual depth holds, of cameras and scanners, if it holds
them all: 12 bits in a file of 16 would else be nearly black.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.problems import UnprocessableImage

DEPTHS = (8, 10, 12, 14, 16, 24, 32)
"""In bits, of which the first one that holds all pixels is taken."""
FLOAT_TOPS = (1.0, 255.0, 65535.0)
"""What white is in pixels from 0 on, of which the first one that holds all is taken."""

STRIP_PX = 64
"""So many rows at once are fractions, of 8 bytes per pixel."""

_TAGS = {
    "BitsPerSample": 258,
    "PhotometricInterpretation": 262,
    "MinSampleValue": 280,
    "MaxSampleValue": 281,
    "SampleFormat": 339,
    "SMinSampleValue": 340,
    "SMaxSampleValue": 341,
}
_SIGNED = 2


def is_deep(image: Image.Image) -> bool:
    """Whether these are such pixels; Pillow makes 8 bits of all others itself."""
    return image.mode == "F" or image.mode.startswith("I")


def to_8_bits(image: Image.Image) -> Image.Image:
    """Grey pixels of a loaded image as "L". Raises UnprocessableImage if some are no numbers."""
    tags = getattr(image, "tag_v2", {})
    pixels = np.asarray(image)  # [height, width]
    if image.mode == "I" and _first(tags, "BitsPerSample") == 32 and _first(tags, "SampleFormat") != _SIGNED:
        pixels = pixels.view(np.uint32)  # which Pillow can't say
    if image.mode == "F" and not np.isfinite(pixels).all():
        count = int(np.count_nonzero(~np.isfinite(pixels)))
        raise UnprocessableImage(
            f"{count:,} of the image's pixels are infinite or no numbers (NaN): save it with 8 bits per channel"
        )
    low, high = _declared(tags) or _seen(pixels, tags)
    hidden = image.info.get("transparency")
    white_is_zero = _first(tags, "PhotometricInterpretation") == 0
    grey = np.empty(pixels.shape, dtype=np.uint8)
    for top in range(0, len(pixels), STRIP_PX):
        strip = pixels[top : top + STRIP_PX]
        scaled = _scaled(strip, low, high)
        scaled = 0xFF - scaled if white_is_zero else scaled
        if isinstance(hidden, int):  # of a PNG
            scaled[strip == hidden] = 0xFF  # on white, as everything that is transparent
        grey[top : top + STRIP_PX] = scaled
    return Image.fromarray(grey)


def _declared(tags: Mapping[int, Any]) -> tuple[float, float] | None:
    """Black and white, as the file says them."""
    for least, most in (("SMinSampleValue", "SMaxSampleValue"), ("MinSampleValue", "MaxSampleValue")):
        low, high = _first(tags, least), _first(tags, most)
        if high is not None and np.isfinite(high) and np.isfinite(low or 0) and high > (low or 0):
            return float(low or 0), float(high)
    return None


def _seen(pixels: NDArray[Any], tags: Mapping[int, Any]) -> tuple[float, float]:
    """Black and white, as the pixels and their type tell."""
    low, high = float(pixels.min()), float(pixels.max())
    bits = _first(tags, "BitsPerSample")
    depths = (bits,) if bits is not None and bits in (10, 12, 14) else DEPTHS
    tops = FLOAT_TOPS if pixels.dtype.kind == "f" else tuple(2.0**depth - 1 for depth in depths)
    if low >= 0 and (top := next((top for top in tops if high <= top), None)) is not None:
        return 0.0, top
    return low, high if high > low else low + 1


def _scaled(pixels: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """From black at `low` to white at `high`, so that 16 bits become their upper 8."""
    if pixels.dtype.kind == "f":
        steps = (pixels.astype(np.float64) - low) * (255 / (high - low)) + 0.5
    else:
        steps = (pixels.astype(np.float64) - low) * (256 / (high - low + 1))
    return np.clip(steps, 0, 255).astype(np.uint8)


def _first(tags: Mapping[int, Any], name: str) -> int | float | None:
    """A tag's value, or its first one; None where it is not given, or no number."""
    value = tags.get(_TAGS[name])
    if isinstance(value, tuple):
        value = value[0] if value else None
    return value if isinstance(value, int | float) else None
