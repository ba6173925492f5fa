"""The world's facts: reproducible, and honest about what is held back."""

from model.world.scene import FACTS, SPLITS, UNSEEN_PAIRS, Scene, Split, sample_scene, scene_at, scene_rng

SCENES = 1500


def scenes(split: Split, seed: int = 0) -> list[Scene]:
    return [scene_at(seed, split, index) for index in range(SCENES)]


def test_a_scene_depends_on_seed_split_and_index_alone() -> None:
    assert scenes("train") == [sample_scene(scene_rng(0, "train", index), "train") for index in range(SCENES)]
    assert scenes("train") != scenes("train", seed=1)
    assert scenes("train") != scenes("validation")


def test_held_back_combinations_occur_in_the_unseen_split_only() -> None:
    for split in SPLITS:
        pairs = {(scene.shape, scene.colour) for scene in scenes(split)}
        assert pairs <= UNSEEN_PAIRS if split == "unseen" else not pairs & UNSEEN_PAIRS


def test_each_shape_and_each_colour_loses_exactly_one_combination() -> None:
    shapes, colours = zip(*UNSEEN_PAIRS, strict=True)
    assert len(set(shapes)) == len(set(colours)) == len(UNSEEN_PAIRS) == 10


def test_every_value_of_every_fact_occurs_in_training() -> None:
    for name, values in FACTS.items():
        assert {scene.fact(name) for scene in scenes("train")} - {None} == set(values)


def test_size_and_position_are_facts_of_single_objects_only() -> None:
    for scene in scenes("train"):
        single = scene.count == "one"
        assert (scene.size is not None) == (scene.position is not None) == single
        assert single == (len(scene.placements) == 1)


def test_objects_of_a_group_do_not_overlap() -> None:
    for scene in scenes("train"):
        for i, a in enumerate(scene.placements):
            for b in scene.placements[:i]:
                assert (a.x - b.x) ** 2 + (a.y - b.y) ** 2 > a.side**2
