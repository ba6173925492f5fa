"""How far two models' answers to images agree of which nothing is said."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.evaluation.agreement import ReferenceAnswers, agreement, answers_as, best
from model.evaluation.vocabulary import KINDS, WORDS
from model.world.scene import COUNTS


def answers(cosines: torch.Tensor, base: ReferenceAnswers | None = None) -> ReferenceAnswers:
    """Of cosines [images, words]."""
    targets = best(cosines) if base is None else base.targets
    return ReferenceAnswers(cosines, targets, torch.arange(len(cosines)))


def wavering(images: int) -> torch.Tensor:
    return torch.rand(images, len(WORDS), generator=torch.Generator().manual_seed(0))


def test_a_model_agrees_with_itself_and_even_then_not_for_sure() -> None:
    said = answers(wavering(200))
    found = agreement(said, said, (10.0, 10.0))
    assert (found.agreement, found.variation, found.variation_at_most) == (1, 0, 0)
    assert 0.97 < found.at_least < 1


def test_other_best_answers_are_counted_and_their_interval_is_wider_where_there_are_fewer_images() -> None:
    widths = []
    for images in (50, 500):
        cosines = wavering(images)
        moved = cosines.clone()
        moved[: images // 10] *= -1  # what was best is worst
        before = answers(cosines)
        found = agreement(before, answers(moved, before), (4.0, 4.0))
        assert found.agreement == pytest.approx(0.9) and found.at_least < 0.9
        assert 0 < found.variation < found.variation_at_most
        widths.append(found.agreement - found.at_least)
    assert widths[0] > 2 * widths[1]


def test_each_question_counts_alike_however_many_words_it_has() -> None:
    cosines = wavering(100)
    moved = cosines.clone()
    moved[:, [WORDS.index(count) for count in COUNTS]] *= -1
    before = answers(cosines)
    assert agreement(before, answers(moved, before), (4.0, 4.0)).agreement == pytest.approx(
        1 - 1 / len(KINDS), abs=0.02
    )


def test_probabilities_move_where_best_answers_do_not() -> None:
    before = answers(wavering(40))
    found = agreement(before, answers(0.5 * before.cosines, before), (40.0, 40.0))
    assert found.agreement == 1 and found.variation > 0.1


def test_what_the_base_says_is_right_of_the_same_images(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    embeds = normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    base = answers_as(clip, embeds, None, 40)
    assert base.cosines.shape == (6, len(WORDS)) and base.right.tolist() == [1.0] * 6
    assert base.rows.tolist() == [40, 41, 42, 43, 44, 45]
    other = answers_as(clip, -embeds, base)
    assert (
        torch.equal(other.targets, base.targets)
        and torch.equal(other.rows, base.rows)
        and float(other.right.mean()) < 0.5
    )
