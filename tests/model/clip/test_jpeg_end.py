"""A JPEG without its last bytes is a picture; half of one is none."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contract.problems import UnprocessableImage
from model.clip.image import open_pixels
from model.clip.jpeg_end import END, MAX_LOST_PX, completed

KINDS: list[dict[str, Any]] = [
    {},
    {"progressive": True},
    {"subsampling": "4:4:4"},
    {"restart_marker_rows": 1},
    {"quality": 30},
    {"mode": "L"},
    {"mode": "CMYK"},
]


def jpeg(width_px: int = 320, height_px: int = 240, mode: str = "RGB", **options: Any) -> bytes:
    noise = np.random.default_rng(0).integers(0, 80, (height_px, width_px, 3))
    ramp = np.linspace(160, 0, width_px)[None, :, None]
    image = Image.fromarray((noise + ramp).astype(np.uint8)).convert(mode)
    image.save(file := io.BytesIO(), "JPEG", **{"quality": 90, **options})
    return file.getvalue()


def differing_rows(pixels: NDArray[np.uint8], whole: NDArray[np.uint8]) -> int:
    return int((pixels != whole).any(axis=(1, 2)).sum())


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("short_side", [None, 30])
def test_without_its_end_mark_a_jpeg_is_the_same_picture(kind: dict[str, Any], short_side: int | None) -> None:
    data = jpeg(**kind)
    whole, shrunk_by = open_pixels(data, short_side)
    for missing in (1, 2):
        pixels, found = open_pixels(data[:-missing], short_side)
        assert np.array_equal(pixels, whole) and found == shrunk_by


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("missing", [3, 10, 60])
def test_a_few_bytes_more_cost_a_row_of_blocks_at_the_bottom(kind: dict[str, Any], missing: int) -> None:
    data = jpeg(**kind)
    pixels, _ = open_pixels(data[:-missing])
    assert differing_rows(pixels, open_pixels(data)[0]) <= MAX_LOST_PX


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("left", [0.9, 0.75, 0.5, 0.25, 0.1])
@pytest.mark.parametrize("short_side", [None, 30])
def test_a_file_that_was_cut_in_the_middle_is_refused(
    kind: dict[str, Any], left: float, short_side: int | None
) -> None:
    data = jpeg(**kind)
    with pytest.raises(UnprocessableImage, match="damaged or cut off"):
        open_pixels(data[: int(len(data) * left)], short_side)


@pytest.mark.parametrize("side_px", [8, 16, 24])
def test_of_a_small_image_hardly_more_than_the_mark_may_be_missing(side_px: int) -> None:
    data = jpeg(side_px, side_px)
    assert np.array_equal(open_pixels(data[:-2])[0], open_pixels(data)[0])
    with pytest.raises(UnprocessableImage):
        open_pixels(data[: -(len(data) - data.rfind(b"\xff\xda")) // 3])


def test_a_whole_file_is_left_as_it_is() -> None:
    assert completed(jpeg()) is None and completed(jpeg() + b"behind it") is None
    assert completed(jpeg()[:-2]) == jpeg() and jpeg().endswith(END)
    assert completed(b"\xff\xd8\xff") is None
