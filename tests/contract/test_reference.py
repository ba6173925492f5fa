"""Which images a reference set has."""

import random

import pytest

from contract.reference import MAX_REFERENCE_IMAGES, kept_back, may_be_image, sample


def test_a_sample_is_bounded_and_the_same_of_the_same_names_in_any_order() -> None:
    names = [f"collections/{number}.jpg" for number in range(3000)]
    chosen = sample(names)
    assert len(chosen) == len(set(chosen)) == MAX_REFERENCE_IMAGES and set(chosen) < set(names)
    random.Random(0).shuffle(names)
    assert sample(names) == chosen and sample(iter(names[:5])) == sample(sorted(names[:5]))


def test_a_sample_is_spread_over_all_folders() -> None:
    chosen = sample(f"collections/{number // 1000}/{number}.jpg" for number in range(10_000))
    assert all(sum(name.startswith(f"collections/{folder}/") for name in chosen) > 60 for folder in range(10))


@pytest.mark.parametrize(
    ("images", "back"), [(0, 0), (12, 12), (30, 30), (40, 30), (90, 30), (300, 100), (900, 300), (1000, 300)]
)
def test_a_third_is_kept_back_but_enough_to_measure_and_no_more_than_is_needed(images: int, back: int) -> None:
    assert kept_back(images) == back


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("collections/1.JPG", True),
        ("images/0123abcd", True),
        ("collections/welds/", False),
        ("collections/welds.jsonl", False),
        ("collections/readme.txt", False),
    ],
)
def test_what_may_be_an_image_is_told_by_its_name(name: str, may: bool) -> None:
    assert may_be_image(name) is may
