"""The world's facts: reproducible, and honest about what is held back."""

import pytest

from model.world.scene import (
    FACTS,
    RELATION_TEST_SHAPES,
    SPLITS,
    UNSEEN_PAIRS,
    Scene,
    Split,
    sample_scene,
    scene_at,
    scene_rng,
)

SCENES = 1500


def scenes(split: Split, seed: int = 0) -> list[Scene]:
    return [scene_at(seed, split, index) for index in range(SCENES)]


def test_a_scene_depends_on_seed_split_and_index_alone() -> None:
    assert scenes("train") == [sample_scene(scene_rng(0, "train", index), "train") for index in range(SCENES)]
    assert scenes("train") != scenes("train", seed=1)
    assert scenes("train") != scenes("validation")


@pytest.mark.slow
def test_held_back_combinations_occur_in_the_unseen_split_only() -> None:
    for split in SPLITS:
        pairs = {(thing.shape, thing.colour) for scene in scenes(split) for thing in (scene, scene.companion) if thing}
        assert pairs <= UNSEEN_PAIRS if split == "unseen" else not pairs & UNSEEN_PAIRS


def test_each_shape_and_each_colour_loses_exactly_one_combination() -> None:
    shapes, colours = zip(*UNSEEN_PAIRS, strict=True)
    assert len(set(shapes)) == len(set(colours)) == len(UNSEEN_PAIRS) == 10


def test_every_value_of_every_fact_occurs_in_training() -> None:
    views = [view for split in ("train", "pairs") for scene in scenes(split) for view in scene.views]
    for name, values in FACTS.items():
        assert {view[name] for view in views if name in view} == set(values)


def test_size_and_position_are_facts_of_single_objects_only() -> None:
    for scene in scenes("train"):
        single = scene.count == "one"
        assert (scene.size is not None) == (scene.position is not None) == single
        assert single == (len(scene.placements) == 1 and scene.companion is None)


def test_objects_of_a_group_do_not_overlap() -> None:
    for scene in scenes("train"):
        for i, a in enumerate(scene.placements):
            for b in scene.placements[:i]:
                assert (a.x - b.x) ** 2 + (a.y - b.y) ** 2 > a.side**2


def test_a_pair_is_two_different_objects_that_lie_as_its_facts_say() -> None:
    for scene in scenes("pairs"):
        assert scene.companion
        assert scene.shape != scene.companion.shape and scene.colour != scene.companion.colour
        here, there = scene.placements[0], scene.companion.placement
        dx, dy = there.x - here.x, there.y - here.y
        lies = {"left of": dx, "right of": -dx, "above": dy, "below": -dy}
        assert max(lies, key=lambda relation: lies[relation]) == scene.companion.relation


def test_a_pair_is_seen_from_either_of_its_objects() -> None:
    scene = next(scene for scene in scenes("pairs") if scene.companion and scene.companion.relation == "above")
    first, second, together = scene.views
    assert (first["relation"], second["relation"]) == ("above", "below")
    assert (first["position"], second["position"]) == ("top", "bottom")
    assert (first["shape"], first["colour"]) == (second["other_shape"], second["other_colour"])
    assert together == {"count": "two", "background": scene.background}


@pytest.mark.parametrize("split", ["relation", "relation_validation"])
def test_what_the_relation_task_asks_about_shows_its_two_shapes_alone(split: Split) -> None:
    shown = {frozenset((scene.shape, scene.companion.shape)) for scene in scenes(split) if scene.companion}
    assert shown == {frozenset(RELATION_TEST_SHAPES)}
    assert all(scene.companion for scene in scenes(split))
