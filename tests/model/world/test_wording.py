"""Scenes as sentences."""

import numpy as np

from model.data.class_wording import with_article
from model.world.scene import Scene, scene_at
from model.world.tasks import TASKS
from model.world.wording import (
    FACT_NAMES,
    Caption,
    caption,
    caption_about,
    contradiction,
    facts_named_in,
    plural,
)


def said(count: int = 4000) -> list[tuple[Scene, Caption]]:
    rng = np.random.default_rng(0)
    scenes = [scene_at(0, "train" if index % 4 else "pairs", index) for index in range(count)]
    return [(scene, caption(scene, rng)) for scene in scenes]


def test_every_caption_is_true_of_its_scene() -> None:
    assert all(sentence.is_true_of(scene) for scene, sentence in said(1000))


def test_a_caption_names_the_facts_it_claims() -> None:
    for _, sentence in said(1000):
        facts = dict(sentence.facts)
        for name in ("shape", "colour"):
            if name in facts:
                assert facts[name] in sentence.text


def test_captions_differ_in_which_facts_they_mention() -> None:
    captions = [sentence for _, sentence in said()]
    assert {name for sentence in captions for name, _ in sentence.facts} == set(FACT_NAMES)
    assert {len(sentence.facts) for sentence in captions} == {1, 2, 3, 4, 5, 6}
    assert len({sentence.text for sentence in captions}) > 2000


def test_the_sentences_of_the_evaluation_are_never_used_as_captions() -> None:
    asked = {sentence.lower().rstrip(".") for task in TASKS for prompts in task.prompts for sentence in prompts}
    assert not asked & {sentence.text for _, sentence in said()}


def test_a_caption_is_not_true_of_a_scene_with_another_fact() -> None:
    scene = scene_at(0, "train", 0)
    assert not Caption("something", (("colour", "no such colour"),)).is_true_of(scene)


def test_nouns_take_their_article_and_plural() -> None:
    assert [with_article("arrow"), with_article("circle")] == ["an arrow", "a circle"]
    assert [plural("cross"), plural("fish"), plural("house")] == ["crosses", "fish", "houses"]


def test_a_fact_is_said_alone_of_a_scene_that_has_it() -> None:
    rng = np.random.default_rng(0)
    scene = scene_at(0, "train", 0)
    said = [caption_about(scene, {"count", "colour"}, rng) for _ in range(50)]
    assert {each.facts for each in said if each} == {(("count", scene.count),), (("colour", scene.colour),)}
    assert all(each and each.is_true_of(scene) for each in said)
    assert caption_about(scene, {"relation"}, rng) is None


def test_the_worlds_words_are_found_in_sentences_that_mean_something_else() -> None:
    assert facts_named_in(["the digit Three", "a photo of a two", "one can see bones"]) == {"count"}
    assert facts_named_in(["one can see a ring", "a reddish car on grass, to the left"]) == {"shape"}
    assert facts_named_in(["a pore", "one crack", "carton"]) == frozenset()


def test_a_sentence_about_two_objects_is_true_said_from_either_one() -> None:
    scene = next(scene for scene, _ in said(100) if scene.companion)
    for view in scene.views[:2]:
        assert Caption("…", tuple(view.items())).is_true_of(scene)
    first, second = scene.views[:2]
    crossed = (("colour", first["colour"]), ("shape", second["shape"]))
    assert not Caption("the colour of one, the shape of the other", crossed).is_true_of(scene)


def test_a_contradiction_says_of_the_same_objects_that_they_lie_the_other_way_round() -> None:
    rng = np.random.default_rng(0)
    changed = set()
    for scene, sentence in said(2000):
        wrong = contradiction(sentence, rng)
        if wrong is None:
            continue
        assert not wrong.is_true_of(scene)
        (name,) = (name for name, value in wrong.facts if dict(sentence.facts)[name] != value)
        changed.add(name)
        assert wrong.text != sentence.text
    assert changed == {"relation", "position"}


def test_the_opposite_of_above_is_below_whatever_else_is_said() -> None:
    above = Caption("", (("shape", "sun"), ("relation", "above"), ("other_shape", "house")))
    wrong = contradiction(above, np.random.default_rng(0))
    assert wrong and dict(wrong.facts) == {"shape": "sun", "relation": "below", "other_shape": "house"}


def test_what_does_not_say_where_an_object_is_has_no_contradiction() -> None:
    assert contradiction(Caption("red", (("colour", "red"),)), np.random.default_rng(0)) is None
