"""The rendered world among a fine-tuning run's own images."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from model.data.batch import Batch, shuffled_rows
from model.data.crops import drawn_crop
from model.data.records import membership
from model.training.loss import contrastive_loss
from model.training.replay import Replay
from model.world.examples import WorldExamples

WORLD = WorldExamples(images=100, captions_per_image=2, seed=0)


class Letters:
    """Twelve grey images; each has a letter, and all are on a white background."""

    captions = tuple((f"the letter {letter}", "a white background") for letter in "abcdefghijkl")

    def __len__(self) -> int:
        return len(self.captions)

    def batch(self, step: int, size: int) -> Batch:
        rows = shuffled_rows(0, len(self), step * size, size)
        texts = tuple(dict.fromkeys(text for row in rows for text in self.captions[row]))
        return Batch(rows, texts, membership([self.captions[row] for row in rows], texts))

    def validation(self) -> Batch:
        return self.batch(0, 2)

    def image(self, row: int) -> Image.Image:
        return Image.new("RGB", (8, 8), (row, row, row))

    def sentences(self) -> list[str]:
        return [text for texts in self.captions for text in texts]

    def digest(self) -> str:
        return "letters"


MIXED = Replay(Letters(), WORLD, 0.5)


def test_half_of_a_batch_is_new_and_half_is_the_world() -> None:
    batch = MIXED.batch(3, 8)
    assert [row >= 0 for row in batch.rows] == [True] * 4 + [False] * 4
    assert [MIXED.image(row).size for row in batch.rows] == [(8, 8)] * 4 + [(64, 64)] * 4
    assert batch.positives.shape == (8, len(batch.texts)) and len(set(batch.texts)) == len(batch.texts)


def test_each_side_keeps_its_own_truth() -> None:
    batch, letters, world = MIXED.batch(3, 8), Letters().batch(3, 4), WORLD.batch(3, 4)
    column = {text: number for number, text in enumerate(batch.texts)}
    assert torch.equal(batch.positives[:4, [column[text] for text in letters.texts]], letters.positives)
    assert torch.equal(batch.positives[4:, [column[text] for text in world.texts]], world.positives)
    own = set(letters.texts) - set(world.texts)
    assert not batch.positives[4:, [column[text] for text in own]].any()


def test_whether_a_new_image_fits_an_old_sentence_is_unknown_and_changes_no_loss() -> None:
    batch, letters, world = MIXED.batch(3, 8), Letters().batch(3, 4), WORLD.batch(3, 4)
    said = [[text in letters.texts for text in batch.texts]] * 4 + [[text in world.texts for text in batch.texts]] * 4
    assert batch.known is not None and torch.equal(batch.known, torch.tensor(said))
    logits = torch.randn(batch.positives.shape, requires_grad=True)
    contrastive_loss(batch.without_unknown(logits), batch.positives).backward()
    assert logits.grad is not None and not logits.grad[~batch.known].any()
    assert bool(logits.grad[batch.known].isfinite().all()) and bool(logits.grad[batch.known].any())


def test_a_sentence_of_both_sides_is_one_text_and_true_on_both() -> None:
    batch = Replay(Letters(), Letters(), 0.5).batch(0, 24)
    assert len(batch.texts) == 13 and batch.known is not None and bool(batch.known.all())
    assert bool(batch.positives[:, batch.texts.index("a white background")].all())


def test_a_batch_depends_on_its_step_alone() -> None:
    again = Replay(Letters(), WorldExamples(100, 2, 0), 0.5).batch(5, 8)
    assert (again.rows, again.texts) == (MIXED.batch(5, 8).rows, MIXED.batch(5, 8).texts)
    assert torch.equal(again.positives, MIXED.batch(5, 8).positives)


def test_an_epoch_shows_every_new_image_once() -> None:
    assert len(MIXED) == 24
    rows = [row for step in range(3) for row in MIXED.batch(step, 8).rows if row >= 0]
    assert sorted(rows) == list(range(12))


def test_however_small_a_batch_or_large_the_share_there_is_something_new_in_it() -> None:
    assert sum(row >= 0 for row in Replay(Letters(), WORLD, 0.9).batch(0, 2).rows) == 1


@pytest.mark.slow
def test_validation_is_about_the_new_images_and_the_digest_about_both() -> None:
    assert all(row >= 0 for row in MIXED.validation().rows)
    others = (Replay(Letters(), WORLD, 0.25), Replay(Letters(), WorldExamples(100, 2, 1), 0.5))
    assert len({MIXED.digest(), *(other.digest() for other in others)}) == 3
    assert "the letter a" in MIXED.sentences()


class Shouted(Letters):
    """The same letters, in the words of the world in capitals."""

    captions = tuple((f"the letter {letter}", WORLD.batch(3, 4).texts[0].upper()) for letter in "abcdefghijkl")


def test_an_old_sentence_in_another_case_is_the_same_sentence() -> None:
    batch = Replay(Shouted(), WORLD, 0.5).batch(3, 8)
    shouted = [text for text in batch.texts if text.lower() == WORLD.batch(3, 4).texts[0].lower()]
    assert len(shouted) == 1
    column = batch.texts.index(shouted[0])
    assert batch.known is not None and batch.known[:, column].all()
    assert batch.positives[:4, column].all() and batch.positives[4:, column].any()


class CroppedLetters(Letters):
    """Of which a step shows a part."""

    def batch(self, step: int, size: int) -> Batch:
        batch = super().batch(step, size)
        return replace(batch, crops=tuple(drawn_crop(0, step, row, 0.9) for row in batch.rows))


def test_new_images_keep_their_crops_and_old_ones_are_shown_whole() -> None:
    batch = Replay(CroppedLetters(), WORLD, 0.5).batch(3, 8)
    assert batch.crops == (*(CroppedLetters().batch(3, 4).crops or ()), None, None, None, None)
    assert MIXED.batch(3, 8).crops is None
