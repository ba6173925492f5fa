"""Scenes as pixels."""

import dataclasses

import numpy as np
import pytest

from model.world.drawing import IMAGE_SIZE, PAINTS, draw
from model.world.scene import COLOURS, FACTS, Companion, Placement, Scene, sample_scene, scene_rng

PLAIN = Scene("square", "red", "plain", "large", "one", "centre", "white", (Placement(0.5, 0.5, 0.7, 0.0),))


def drawn(scene: Scene, seed: int = 0) -> np.ndarray:
    return draw(scene, np.random.default_rng(seed)).astype(int)


def test_the_same_seed_draws_the_same_pixels() -> None:
    rng_a, rng_b = scene_rng(3, "train", 7), scene_rng(3, "train", 7)
    scene = sample_scene(rng_a, "train")
    assert scene == sample_scene(rng_b, "train")
    assert np.array_equal(draw(scene, rng_a), draw(scene, rng_b))


def test_every_colour_has_a_paint() -> None:
    assert set(PAINTS) == set(COLOURS)


@pytest.mark.parametrize("shape", FACTS["shape"])
def test_a_shape_stands_out_from_its_background(shape: str) -> None:
    pixels = drawn(dataclasses.replace(PLAIN, shape=shape, colour="blue"))
    assert pixels.shape == (IMAGE_SIZE, IMAGE_SIZE, 3)
    changed = (np.abs(pixels - pixels[0, 0]).max(axis=2) > 60).mean()
    assert 0.04 < changed < 0.6


def test_the_middle_of_a_red_square_is_red() -> None:
    red, green, blue = np.mean([drawn(PLAIN, seed)[32, 32] for seed in range(10)], axis=0)
    assert red > 150 > 80 > max(green, blue)


def test_a_pattern_brings_a_second_paint() -> None:
    for texture in ("striped", "dotted", "checkered"):
        inside = drawn(dataclasses.replace(PLAIN, texture=texture))[16:48, 16:48]
        assert inside.std(axis=(0, 1)).max() > 60


def test_both_objects_of_a_pair_are_drawn_where_they_lie() -> None:
    here, there = Placement(0.25, 0.5, 0.35, 0.0), Placement(0.75, 0.5, 0.35, 0.0)
    pair = dataclasses.replace(PLAIN, placements=(here,), companion=Companion("circle", "blue", there, "left of"))
    pixels = np.mean([drawn(pair, seed) for seed in range(10)], axis=0)
    assert pixels[32, 16].argmax() == 0 and pixels[32, 48].argmax() == 2
