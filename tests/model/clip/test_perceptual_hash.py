"""Near duplicates are found, and different images are none."""

import io

import numpy as np
from PIL import Image

from contract.perceptual_hash import near_duplicate_groups
from model.clip.perceptual_hash import fingerprint, near_duplicates
from model.world.examples import render

IMAGES = [Image.fromarray(render(0, "train", index)) for index in range(60)]


def saved_again(image: Image.Image, side: int) -> Image.Image:
    file = io.BytesIO()
    image.resize((side, side)).save(file, "JPEG", quality=75)
    return Image.open(file).convert("RGB")


def test_a_picture_that_was_compressed_or_scaled_is_found() -> None:
    prints = [fingerprint(image) for image in IMAGES]
    for side in (64, 128, 50):
        again = [fingerprint(saved_again(image, side)) for image in IMAGES]
        assert len(set(near_duplicates(again, prints)) & {(number, number) for number in range(60)}) >= 50


def test_different_pictures_are_not_taken_for_each_other() -> None:
    prints = [fingerprint(image) for image in IMAGES]
    assert near_duplicates(prints[:30], prints[30:]) == []


def test_pictures_without_any_detail_are_told_apart_by_their_colour() -> None:
    red, blue = (fingerprint(Image.new("RGB", (20, 20), colour)) for colour in ("red", "blue"))
    assert near_duplicates([red], [blue, red]) == [(0, 1)]


def test_grey_surfaces_of_one_kind_are_different_and_found_again() -> None:
    rng = np.random.default_rng(0)
    cells = [Image.fromarray(rng.integers(110, 140, (20, 20), dtype=np.uint8)) for _ in range(40)]
    surfaces = [each.resize((100, 100), Image.Resampling.BICUBIC).convert("RGB") for each in cells]
    prints = [fingerprint(each) for each in surfaces]
    assert near_duplicates(prints[:20], prints[20:]) == []
    again = [fingerprint(saved_again(each, 80)) for each in surfaces]
    assert near_duplicates(again, prints) == [(number, number) for number in range(40)]
    assert near_duplicate_groups([each.perceptual_hash for each in (*prints, *again)]) == [
        [n, n + 40] for n in range(40)
    ]


def test_where_there_is_nothing_there_is_no_near_duplicate() -> None:
    assert near_duplicates([], [fingerprint(IMAGES[0])]) == near_duplicates([fingerprint(IMAGES[0])], []) == []


def test_an_image_of_one_pixel_has_a_fingerprint() -> None:
    white = fingerprint(Image.new("RGB", (1, 1), "white"))
    assert white.gradients == 0 and np.all(white.colours == 255)
