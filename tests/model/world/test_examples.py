"""The rendered world as training data."""

from collections.abc import Collection

import pytest
import torch

from model.world.examples import WorldExamples, truth
from model.world.scene import COUNTS, Placement, Scene
from model.world.wording import COMPANION_PHRASES, LONE_PHRASES, POSITION_PHRASES, RELATION_PHRASES, Caption

EXAMPLES = WorldExamples(images=100, captions_per_image=2, seed=0)


def test_a_batch_depends_on_its_step_alone() -> None:
    again = WorldExamples(images=100, captions_per_image=2, seed=0)
    first, second = EXAMPLES.batch(7, 16), again.batch(7, 16)
    assert (first.rows, first.texts) == (second.rows, second.texts)
    assert torch.equal(first.positives, second.positives)


def test_every_image_comes_once_per_epoch_in_a_new_order() -> None:
    first, second = ([row for step in range(5) for row in EXAMPLES.batch(step + at, 20).rows] for at in (0, 5))
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second


def test_texts_are_unique_and_every_image_has_a_true_one() -> None:
    batch = EXAMPLES.batch(0, 64)
    assert len(set(batch.texts)) == len(batch.texts)
    assert batch.positives.shape == (64, len(batch.texts))
    assert bool(batch.positives.any(dim=1).all())


def test_only_sentences_about_where_objects_are_are_also_said_wrongly() -> None:
    batch = WorldExamples(images=100, captions_per_image=2, seed=0, pair_share=0.5).batch(0, 64)
    wrong = [text for text, true in zip(batch.texts, batch.positives.any(dim=0).tolist(), strict=True) if not true]
    phrases = [
        phrase
        for said in (RELATION_PHRASES, COMPANION_PHRASES, POSITION_PHRASES)
        for group in said.values()
        for phrase in group
    ]
    assert wrong and all(any(phrase in text for phrase in phrases) for text in wrong)


def test_what_is_to_be_told_is_said_of_every_image_besides() -> None:
    alone = {phrase.format(count) for phrase in LONE_PHRASES["count"] for count in COUNTS}

    def counted(told: Collection[str]) -> torch.Tensor:
        batch = WorldExamples(40, 2, 0, told=told).batch(0, 40)
        places = [number for number, text in enumerate(batch.texts) if text in alone]
        return batch.positives[:, places].any(dim=1)

    assert counted({"count"}).all() and not counted(()).all()
    assert WorldExamples(40, 2, 0, told={"count"}).digest() != WorldExamples(40, 2, 0).digest()


def test_a_sentence_is_positive_for_every_image_it_is_true_of() -> None:
    place = (Placement(0.5, 0.5, 0.7, 0.0),)
    circle = Scene("circle", "red", "plain", "large", "one", "centre", "white", place)
    houses = Scene("house", "red", "plain", None, "two", None, "sky", place * 2)
    said = [
        Caption("red", (("colour", "red"),)),
        Caption("a red circle", (("shape", "circle"), ("colour", "red"))),
        Caption("large", (("size", "large"),)),
    ]
    assert truth([circle, houses], said).tolist() == [[True, True, True], [True, False, False]]


def test_validation_images_are_not_trained_on() -> None:
    assert max(EXAMPLES.validation().rows) < 0 <= min(EXAMPLES.batch(0, 16).rows)
    assert EXAMPLES.image(0).tobytes() != EXAMPLES.image(-1).tobytes()


@pytest.mark.slow
def test_a_share_of_the_images_shows_pairs_where_that_is_asked_for() -> None:
    with_pairs = WorldExamples(images=100, captions_per_image=2, seed=0, pair_share=0.3)
    assert {with_pairs.image(row).tobytes() for row in range(30)}.isdisjoint(
        EXAMPLES.image(n).tobytes() for n in range(99)
    )
    assert [with_pairs.image(row).tobytes() for row in (30, 99)] == [EXAMPLES.image(n).tobytes() for n in (0, 69)]
    assert EXAMPLES.digest() != with_pairs.digest()
    assert any("left of" in sentence for sentence in with_pairs.sentences())
    assert not any("left of" in sentence for sentence in EXAMPLES.sentences())


def test_the_digest_tells_one_world_from_another() -> None:
    assert EXAMPLES.digest() == WorldExamples(100, 2, 0).digest() != WorldExamples(100, 2, 1).digest()
