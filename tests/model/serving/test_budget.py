"""How many pixels one request may have decoded."""

import io

import pytest
from PIL import Image

from contract.limits import MAX_IMAGE_PIXELS, MAX_REQUEST_PIXELS
from contract.problems import BadRequest, PayloadTooLarge
from contract.requests import ImageSource
from model.serving.budget import decoded_pixels, within_budget


def encoded(side_px: int, format: str) -> bytes:
    Image.new("L", (side_px, side_px)).save(file := io.BytesIO(), format)
    return file.getvalue()


@pytest.fixture(scope="module")
def large() -> bytes:
    return encoded(7_000, "PNG")


def test_images_beyond_the_budget_are_problems_in_their_places(large: bytes) -> None:
    broken = BadRequest("it was none before")
    small = encoded(8, "PNG")
    kept = within_budget([large, broken, large, large, large, large, small], 224)
    assert kept[:5] == [large, broken, large, large, large]
    assert isinstance(kept[5], PayloadTooLarge)
    assert f"196,000,000 pixels to decode and this one 49,000,000, at most {MAX_REQUEST_PIXELS:,}" in kept[5].detail
    assert kept[6] == small, "there is room for it"


def test_an_image_alone_always_fits(large: bytes) -> None:
    assert MAX_IMAGE_PIXELS <= MAX_REQUEST_PIXELS
    sources: list[ImageSource] = [large]
    assert within_budget(sources, None) == sources


def test_of_a_jpeg_counts_what_is_left_when_it_is_decoded_small() -> None:
    photo = encoded(3_000, "JPEG")
    assert decoded_pixels(photo, 224) == 750 * 750
    assert decoded_pixels(photo, None) == 3_000**2
    assert decoded_pixels(encoded(3_000, "PNG"), 224) == 3_000**2
    with Image.open(io.BytesIO(photo)) as file:
        file.draft(None, (672, 672))
        assert file.size == (750, 750), "as Pillow chooses"


def test_what_does_not_say_how_large_it_is_costs_nothing() -> None:
    assert within_budget([b"no image"] * 64, 224) == [b"no image"] * 64
