import random
from statistics import fmean, pstdev

import pytest

from contract.gain import ENOUGH_IMAGES, NO_GAIN_BELOW, chance_of_no_gain, fewest_images, missing_images


def chance(gains: list[float]) -> float:
    return chance_of_no_gain(len(gains), fmean(gains), pstdev(gains), max(map(abs, gains)))


def test_it_is_students_paired_test_with_one_image_won_and_one_lost_beside() -> None:
    # of 0.5, 0.3, 0.1, 0.7, -0.1 with 0.7 and -0.7: t = 1.131 with 6 degrees of freedom
    assert chance([0.5, 0.3, 0.1, 0.7, -0.1]) == pytest.approx(0.1506, abs=1e-3)
    assert chance([-0.5, -0.3, -0.1, -0.7, 0.1]) == pytest.approx(1 - 0.1506, abs=1e-3)
    # of many images those two say nothing, and t is normal: 2.58 of its deviations
    assert chance_of_no_gain(4000, 0.0204, 0.5, 1.0) == pytest.approx(0.005, abs=1e-3)


def test_gains_and_losses_alike_are_luck_as_often_as_is_allowed() -> None:
    rng = random.Random(0)
    passed = sum(chance([rng.uniform(-1, 1) for _ in range(30)]) < NO_GAIN_BELOW for _ in range(400))
    assert 4 <= passed <= 32


def test_a_little_won_by_nearly_all_does_not_outweigh_what_few_lose() -> None:
    """The mean is zero, but seven of ten samples hold none of those that lose."""
    rng = random.Random(0)
    samples = [[-0.98 if rng.random() < 0.02 else 0.02 for _ in range(20)] for _ in range(200)]
    assert fmean(map(fmean, samples)) == pytest.approx(0, abs=0.01)
    assert sum(chance([*sample, -0.98]) < NO_GAIN_BELOW for sample in samples) == 0


@pytest.mark.parametrize("images", [0, 1])
def test_of_next_to_nothing_nothing_is_sure(images: int) -> None:
    assert chance_of_no_gain(images, 1.0, 0.0, 1.0) > NO_GAIN_BELOW
    assert chance_of_no_gain(30, 0.0, 0.0, 0.0) == 1


def test_the_fewest_images_are_enough_and_one_less_is_not() -> None:
    fewest = fewest_images()
    assert chance_of_no_gain(fewest, 1.0, 0.0, 1.0) < NO_GAIN_BELOW <= chance_of_no_gain(fewest - 1, 1.0, 0.0, 1.0)
    assert fewest < ENOUGH_IMAGES


@pytest.mark.parametrize(
    ("alike", "missing"), [([], 9), ([9], 3), ([2, 1], 6), ([3, 3], 3), ([5, 4], 0), ([1] * 5, 0), ([30], 2)]
)
def test_so_many_are_missing_until_one_order_in_a_hundred_is_right(alike: list[int], missing: int) -> None:
    assert missing_images(alike) == missing
