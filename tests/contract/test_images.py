"""Annotated images as they are handed out."""

import pytest

from contract.images import THUMBNAIL_SIZES_PX, ThumbnailRequest, thumbnail_key, thumbnail_size
from contract.problems import BadRequest


def test_thumbnails_come_in_few_sizes() -> None:
    assert [thumbnail_size(str(size)) for size in THUMBNAIL_SIZES_PX] == list(THUMBNAIL_SIZES_PX)
    for other in ("", "0", "257", "064", "256px", "9" * 5000):
        with pytest.raises(BadRequest, match="allowed are 64, 256, 512: pixels of the longer side"):
            thumbnail_size(other)
    with pytest.raises(BadRequest, match="size is '300'"):
        ThumbnailRequest([b"an image"], 300)


def test_each_size_of_an_image_has_a_place_of_its_own() -> None:
    assert thumbnail_key("9b2c", 64) == "thumbnails/64/9b2c" != thumbnail_key("9b2c", 256)
