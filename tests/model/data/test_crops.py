"""Random crops: how large, how much stretched, where, and of what they are a function."""

import numpy as np
import pytest

from model.data.crops import MOST_STRETCHED, Crop, cropped, drawn_crop

DRAWS = [(seed, step, row) for seed in range(2) for step in range(10) for row in range(50)]


@pytest.mark.parametrize("area_min", [0.9, 0.5, 0.08])
def test_a_crop_lies_in_the_image_with_so_much_of_its_area_and_is_stretched_no_further(area_min: float) -> None:
    areas, stretches = [], []
    for draw in DRAWS:
        crop = drawn_crop(*draw, area_min)
        assert 0 <= crop.top <= crop.top + crop.height <= 1 + 1e-9
        assert 0 <= crop.left <= crop.left + crop.width <= 1 + 1e-9
        areas.append(crop.height * crop.width)
        stretches.append(crop.width / crop.height)
    assert area_min - 1e-9 <= min(areas) < area_min + 0.05 * (1 - area_min)
    assert 1 - 0.05 * (1 - area_min) < max(areas) <= 1 + 1e-9
    assert 1 / MOST_STRETCHED - 1e-9 <= min(stretches) < 0.97 and 1.03 < max(stretches) <= MOST_STRETCHED + 1e-9
    assert abs(np.mean(areas) - (1 + area_min) / 2) < 0.05 and abs(np.mean(np.log(stretches))) < 0.01


def test_a_crop_is_a_function_of_seed_step_and_image_and_of_each_of_them() -> None:
    crops = [drawn_crop(*draw, 0.9) for draw in DRAWS]
    assert crops == [drawn_crop(*draw, 0.9) for draw in DRAWS]
    assert len(set(crops)) == len(DRAWS)


def test_all_of_an_image_is_the_image_itself() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 12), dtype=np.uint8)
    assert cropped(pixels, None) is pixels
    assert cropped(pixels, Crop(0, 0, 1, 1)) is pixels
    assert cropped(pixels, drawn_crop(0, 0, 0, area_min=1)) is pixels


def test_what_is_in_the_crop_fills_the_whole_size_and_the_original_stays() -> None:
    pixels = np.zeros((3, 20, 40), dtype=np.uint8)
    pixels[:, 5:15, 10:30] = 200
    before = pixels.copy()
    inner = cropped(pixels, Crop(top=0.25, left=0.25, height=0.5, width=0.5))
    assert inner.shape == pixels.shape and inner.dtype == np.uint8
    assert (inner[:, 4:-4, 4:-4] == 200).all()  # what lies beside the crop is seen by its outermost pixels
    assert np.array_equal(pixels, before)
    left = cropped(pixels, Crop(top=0, left=0, height=1, width=0.5))
    assert (left[:, 10, :15] < 50).all() and (left[:, 10, 25:] > 150).all()


def test_a_crop_may_begin_within_a_pixel() -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8) * 4, (3, 64, 64))
    shown = [cropped(ramp, Crop(top=0, left=left / 640, height=0.98, width=0.98))[0, 32, 32] for left in range(11)]
    assert shown == sorted(shown) and len(set(shown)) == 5  # tenths of a pixel, of four levels each


@pytest.mark.parametrize("side", [1, 2, 3])
def test_the_smallest_crop_of_the_smallest_image_has_a_pixel(side: int) -> None:
    pixels = np.full((3, side, side), 7, dtype=np.uint8)
    for corner in (0.0, 0.49, 0.99):
        crop = Crop(top=min(corner, 0.9), left=min(corner, 0.9), height=0.1, width=0.1)
        assert (cropped(pixels, crop) == 7).all()
