"""Grey of more than 8 bits is shown as its file says, and where that says nothing, as its pixels do."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contract.problems import UnprocessableImage
from model.clip.image import open_pixels

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
WHITE_IS_ZERO, BLACK_IS_ZERO = 0, 1
MIN, MAX, SMIN, SMAX = 280, 281, 340, 341
RAMP = np.arange(256).reshape(16, 16)
"""Every shade that 8 bits have."""


def tiff(pixels: NDArray[Any], photometric: int = BLACK_IS_ZERO, bits: int | None = None, **values: float) -> bytes:
    """An uncompressed TIFF 6.0 in the pixels' byte order, with `t280=4095` for a tag's value."""
    order = ">" if pixels.dtype.byteorder == ">" else "<"
    kind = {"u": UNSIGNED, "i": SIGNED, "f": FLOAT}[pixels.dtype.kind]
    data = pixels.tobytes()
    bits = bits or 8 * pixels.dtype.itemsize
    height, width = pixels.shape
    wide = "f" if kind == FLOAT else "i" if kind == SIGNED else "I"
    entries = {
        256: ("I", width), 257: ("I", height), 258: ("H", bits), 259: ("H", 1), 262: ("H", photometric), 273: ("I", 8),
        277: ("H", 1), 278: ("I", height), 279: ("I", len(data)), 339: ("H", kind),
    }  # fmt: skip
    entries |= {int(name[1:]): (wide, value) for name, value in values.items()}
    directory = struct.pack(f"{order}H", len(entries))
    for tag, (form, value) in sorted(entries.items()):
        number = {"H": 3, "I": 4, "i": 9, "f": 11}[form]
        directory += struct.pack(f"{order}HHI", tag, number, 1) + struct.pack(f"{order}{form}", value).ljust(4, b"\0")
    mark = b"MM\0*" if order == ">" else b"II*\0"
    return mark + struct.pack(f"{order}I", 8 + len(data)) + data + directory + bytes(4)


def grey(data: bytes) -> NDArray[np.uint8]:
    pixels, _ = open_pixels(data)
    assert (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all()
    return pixels[..., 0]


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_16_bits_become_their_upper_8(dtype: str) -> None:
    pixels = np.arange(0x10000).reshape(256, 256).astype(dtype)
    assert np.array_equal(grey(tiff(pixels)), pixels >> 8)


def test_where_white_is_zero_the_picture_is_no_negative() -> None:
    assert np.array_equal(grey(tiff((RAMP * 257).astype("<u2"), WHITE_IS_ZERO)), 255 - RAMP)
    assert np.array_equal(grey(tiff(RAMP.astype("u1"), WHITE_IS_ZERO)), 255 - RAMP)  # which Pillow does itself
    assert np.array_equal(grey(tiff((RAMP / 255).astype("<f4"), WHITE_IS_ZERO)), 255 - RAMP)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<u4", "<i4", ">i4", "<i2"])
def test_a_shallower_picture_in_a_deeper_file_is_not_nearly_black(bits: int, dtype: str) -> None:
    if dtype == "<i2" and bits == 16:
        pytest.skip("signed ones have 15")
    full = (RAMP * ((1 << bits) - 1) // 255).astype(dtype)
    shown = grey(tiff(full)).astype(int)
    assert (shown[0, 0], shown[-1, -1]) == (0, 255)
    assert np.abs(shown - RAMP).max() <= 1


def test_a_png_of_12_bits_is_not_nearly_black_either() -> None:
    Image.fromarray((RAMP * 16).astype(np.uint16)).save(file := io.BytesIO(), "PNG")
    assert np.array_equal(grey(file.getvalue()), RAMP)


def test_what_the_file_declares_counts_more_than_what_its_pixels_look_like() -> None:
    dark = (RAMP // 4).astype("<u2")
    assert grey(tiff(dark, t281=65535)).max() == 0
    assert grey(tiff(dark, t281=255)).max() == 63
    assert grey(tiff((RAMP + 1000).astype("<u2"), t280=1000, t281=1255)).tolist() == RAMP.tolist()


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<i4"])
def test_signed_pixels_reach_from_the_darkest_to_the_brightest(dtype: str) -> None:
    """As of a tomograph: air is -1000."""
    pixels = (RAMP * 10 - 1000).astype(dtype)
    assert np.abs(grey(tiff(pixels)).astype(int) - RAMP).max() <= 1
    declared = grey(tiff(pixels, t340=-1000, t341=4101))
    assert (declared.min(), declared.max()) == (0, 127)


def test_of_32_bits_the_upper_half_is_bright() -> None:
    pixels = (RAMP.astype(np.int64) * 0x01010101).astype("<u4")
    assert np.abs(grey(tiff(pixels)).astype(int) - RAMP).max() <= 1


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(0, 1, 255), (0, 0.5, 128), (0, 255, 255), (0, 65535, 255), (-3, 5, 255), (0, 1e6, 255), (-1e38, 1e38, 255)],
)
@pytest.mark.parametrize("dtype", ["<f4", ">f4"])
def test_floats_are_shares_bytes_words_or_else_what_they_reach(low: float, high: float, shown: int, dtype: str) -> None:
    pixels = (low + (high - low) * (RAMP / 255)).astype(dtype)
    found = grey(tiff(pixels)).astype(int)
    assert (found.min(), found.max()) == (0, shown)
    assert np.abs(found - RAMP * shown / 255).max() <= 1


def test_floats_of_one_shade_are_that_shade() -> None:
    assert set(grey(tiff(np.full((4, 4), 0.5, "<f4"))).flat) == {128}
    assert set(grey(tiff(np.full((4, 4), 0.5, "<f4"), t341=0.5)).flat) == {255}
    assert set(grey(tiff(np.full((4, 4), -7.0, "<f4"))).flat) == {0}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_floats_that_are_no_numbers_are_refused_with_how_many(value: float) -> None:
    pixels = np.zeros((4, 4), "<f4")
    pixels[1, 1:3] = value
    with pytest.raises(UnprocessableImage, match="2 of the image's pixels are infinite or no numbers"):
        open_pixels(tiff(pixels))


@pytest.mark.parametrize("tag", [MIN, MAX, SMIN, SMAX])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
def test_a_range_that_is_none_is_passed_over(tag: int, value: float) -> None:
    pixels = (RAMP / 255).astype("<f4")
    assert np.array_equal(grey(tiff(pixels, **{f"t{tag}": value})), RAMP)


def test_a_transparent_shade_of_16_bits_lies_on_white() -> None:
    Image.fromarray((RAMP * 257).astype(np.uint16)).save(file := io.BytesIO(), "PNG", transparency=0)
    shown = grey(file.getvalue())
    assert shown[0, 0] == 255 and np.array_equal(shown.flat[1:], RAMP.flat[1:])
