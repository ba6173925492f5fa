"""Hostile images are what they claim to be: files that Pillow would open, far cheaper to send than to decode."""

import io
from collections.abc import Callable

import pytest
from PIL import Image

from benchmarks.serving import hostile_images


@pytest.mark.parametrize(
    ("make", "of", "format"),
    [
        (hostile_images.many_scans, 64, "JPEG"),
        (hostile_images.empty_webp, 64, "WEBP"),
        (hostile_images.rle_bmp, 64, "BMP"),
        (hostile_images.tiny_tiles, 64, "TIFF"),
        (hostile_images.large_rgba_png, 64, "PNG"),
        (hostile_images.empty_chunks, 10, "PNG"),
        (hostile_images.text_bombs, 2, "PNG"),
        (hostile_images.gif_comments, 10, "GIF"),
        (hostile_images.jpeg_segments, 10, "JPEG"),
        (hostile_images.jpeg_padding, 10, "JPEG"),
    ],
)
def test_pillow_knows_each_as_an_image(make: Callable[[int], bytes], of: int, format: str) -> None:
    with Image.open(io.BytesIO(make(of))) as image:
        assert image.format == format


def test_a_pixel_in_each_row_is_unpacked_to_whole_rows() -> None:
    with Image.open(io.BytesIO(hostile_images.rle_bmp(32))) as image:
        assert image.size == (32, 32)
        image.load()


def test_scans_come_as_often_as_is_asked() -> None:
    few, many = (hostile_images.many_scans(64, scans).count(b"\xff\xda") for scans in (1, 50))
    assert many - few == 49
