"""JPEGs that lack their last bytes, as an interrupted download leaves them: every browser shows what is there.

Without its end mark, or a little more, nothing is missing that anybody would see; a file that was cut in the middle is
refused, since a grey half would be classified as if it were the picture.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

END = b"\xff\xd9"
_SCAN = b"\xff\xda"
_PROGRESSIVE = b"\xff\xc2"

MAX_LOST_PX = 17
"""Rows at the bottom: one of blocks of 16, and the one above it, whose colours are blended with it."""
MAX_LOST_SHARE = 1 / 16
"""What else may be lost of a high image; of a low one, no more than a quarter."""

_OTHERWISE = bytes(range(0x5B, 0xFB)) * 5
"""Goes on in another way than the file would have: where that shows is what was lost, but for the rest of one block."""


def completed(data: bytes) -> bytes | None:
    """The file with an end, or None if it has one or if too much is missing. Raises what Pillow's decoder raises."""
    if END in data[-64:]:
        return None
    left = data.rstrip(b"\xff")
    if not _is_last_scan(left):
        return None
    as_it_is, otherwise = _decoded(left + END), _decoded(left + _OTHERWISE + END)
    differs = np.flatnonzero((as_it_is != otherwise).any(axis=(1, 2)))  # rows
    height = len(as_it_is)
    lost = height - int(differs[0]) if len(differs) else 0
    return left + END if lost <= min(max(MAX_LOST_PX, height * MAX_LOST_SHARE), height / 4) else None


def _is_last_scan(data: bytes) -> bool:
    """Whether the scan in which the file ends makes the picture whole. Of a progressive one (ITU-T T.81, G.1.1) that is
    one that brings the last bit of the finest detail; those before it leave it coarse all over.
    """
    start = data.rfind(_SCAN)
    if start < 0 or _PROGRESSIVE not in data:
        return start >= 0
    header = data[start + 4 : start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]
    return len(header) >= 3 and header[-2] == 63 and header[-1] & 0x0F == 0


def _decoded(data: bytes) -> NDArray[np.uint8]:
    """shape = [height, width, 3]"""
    return np.asarray(Image.open(io.BytesIO(data), formats=("JPEG", "MPO")).convert("RGB"))
