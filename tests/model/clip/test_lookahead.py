"""What a file says of itself, and what is refused before a decoder sees it."""

import io
import struct
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from benchmarks.serving import hostile_images
from contract.limits import MAX_IMAGE_PIXELS
from contract.problems import PayloadTooLarge, UnprocessableImage
from model.clip.image import open_image, open_pixels
from model.clip.lookahead import MAX_JPEG_SCANS, check_cost, declared_size, working_bytes


def saved(format: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", **options: Any) -> bytes:
    Image.radial_gradient("L").resize(size).convert(mode).save(file := io.BytesIO(), format, **options)
    return file.getvalue()


HONEST: dict[str, bytes] = {
    "JPEG": saved("JPEG"),
    "progressive JPEG": saved("JPEG", progressive=True),
    "photo of several pictures": saved("MPO", save_all=True, append_images=[Image.new("RGB", (60, 40))]),
    "PNG": saved("PNG"),
    "GIF": saved("GIF", comment=b"by hand"),
    "BMP": saved("BMP"),
    "lossy WebP": saved("WEBP"),
    "lossless WebP": saved("WEBP", lossless=True),
    "WebP with transparency": saved("WEBP", mode="RGBA"),
    "TIFF": saved("TIFF"),
    "compressed TIFF": saved("TIFF", compression="tiff_lzw"),
    "large TIFF": saved("TIFF", big_tiff=True),
    "AVIF": saved("AVIF"),
}


@pytest.mark.parametrize("data", HONEST.values(), ids=HONEST)
def test_an_honest_file_says_how_large_it_is_and_passes(data: bytes) -> None:
    assert declared_size(data) == (60, 40)
    check_cost(data)
    assert open_image(data).size == (60, 40)


@pytest.mark.parametrize("data", HONEST.values(), ids=HONEST)
def test_a_file_that_is_cut_off_anywhere_is_left_to_the_decoder(data: bytes) -> None:
    for length in range(min(len(data), 200)):
        declared_size(data[:length])
        check_cost(data[:length])


def test_what_is_no_image_says_nothing() -> None:
    assert declared_size(b"no image at all") is None
    assert declared_size(b"") is None


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (hostile_images.many_scans(64, 101), "more than 100 scans"),
        (hostile_images.many_scans(7000, 30), "more than 20 scans, the most for one of its size"),
        (hostile_images.rle_bmp(), "run-length encoded and has 49,000,000 pixels"),
        (hostile_images.tiny_tiles(200), "tiles of 2 x 2 pixels"),
        (hostile_images.empty_chunks(), "chunks"),
        (hostile_images.gif_comments(), "more than 10,000 blocks"),
        (hostile_images.jpeg_segments(), "more than 5,000 segments"),
        (hostile_images.jpeg_padding(), "3,000,002 bytes of padding"),
        (b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHLL", 273, 4, 100_001, 0), "100,001 pieces"),
    ],
    ids=["scans", "scans of many pixels", "RLE", "tiles", "chunks", "comments", "segments", "padding", "strips"],
)
def test_what_costs_far_more_than_its_pixels_is_refused_with_what_to_do(data: bytes, sentence: str) -> None:
    with pytest.raises(UnprocessableImage, match=sentence) as told:
        open_image(data)
    assert "save it" in told.value.detail


def test_a_progressive_jpeg_of_as_many_scans_as_are_allowed_is_opened() -> None:
    assert open_image(hostile_images.many_scans(64, MAX_JPEG_SCANS - 12)).size == (64, 64)


def test_scans_are_not_counted_beyond_the_end_of_the_picture() -> None:
    """Phones append a film to a photo, in which the same two bytes come up by chance."""
    assert open_image(saved("JPEG", progressive=True) + b"\xff\xda" * 1000).size == (60, 40)


@pytest.mark.parametrize("make", [hostile_images.empty_webp, hostile_images.large_avif])
def test_too_many_pixels_are_refused_before_a_decoder_makes_room_for_them(make: Callable[[int], bytes]) -> None:
    data = make(100)
    at = data.find(b"VP8L")
    if at >= 0:
        side = 16_383 - 1
        data = data[: at + 9] + struct.pack("<L", side | side << 14) + data[at + 13 :]
    else:
        at = data.find(b"ispe") + 8
        data = data[:at] + struct.pack(">LL", 16_383, 16_383) + data[at + 8 :]
    with pytest.raises(PayloadTooLarge, match=f"at most {MAX_IMAGE_PIXELS:,}"):
        open_image(data)


def test_formats_that_are_decoded_in_several_copies_say_how_much_memory_that_takes() -> None:
    assert working_bytes(HONEST["lossless WebP"]) == 16 * 60 * 40
    assert working_bytes(HONEST["AVIF"]) == 11 * 60 * 40
    assert working_bytes(HONEST["JPEG"]) == 0


def test_padding_before_a_marker_is_passed_over_as_decoders_do() -> None:
    padded = hostile_images.jpeg_padding(64_000)
    assert declared_size(padded) == (8, 8)
    assert open_pixels(padded)[0].shape == (8, 8, 3)
