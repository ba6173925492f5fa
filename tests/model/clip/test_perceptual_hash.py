"""Images that look the same."""

import io

import numpy as np
from PIL import Image

from model.clip.perceptual_hash import look_alikes, look_of
from model.world.examples import render

IMAGES = [Image.fromarray(render(0, "train", index)) for index in range(60)]


def saved_again(image: Image.Image, side: int) -> Image.Image:
    file = io.BytesIO()
    image.resize((side, side)).save(file, "JPEG", quality=75)
    return Image.open(file).convert("RGB")


def test_a_picture_that_was_compressed_or_scaled_is_found() -> None:
    looks = [look_of(image) for image in IMAGES]
    for side in (64, 128, 50):
        again = [look_of(saved_again(image, side)) for image in IMAGES]
        assert len(set(look_alikes(again, looks)) & {(number, number) for number in range(60)}) >= 50


def test_different_pictures_are_not_taken_for_each_other() -> None:
    looks = [look_of(image) for image in IMAGES]
    assert look_alikes(looks[:30], looks[30:]) == []


def test_pictures_without_any_detail_are_told_apart_by_their_colour() -> None:
    red, blue = (look_of(Image.new("RGB", (20, 20), colour)) for colour in ("red", "blue"))
    assert look_alikes([red], [blue, red]) == [(0, 1)]


def test_nothing_looks_like_nothing() -> None:
    assert look_alikes([], [look_of(IMAGES[0])]) == look_alikes([look_of(IMAGES[0])], []) == []


def test_an_image_of_one_pixel_has_a_look() -> None:
    look = look_of(Image.new("RGB", (1, 1), "white"))
    assert look.gradients == 0 and np.all(look.colours == 255)
