"""How far two models' answers to images agree of which nothing is said."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.evaluation.agreement import QUESTIONS, ReferenceAnswers, agreement, answers_as, base_answers
from model.evaluation.vocabulary import KINDS, WORDS
from model.world.scene import COUNTS

SCALE = 400.0
"""So much that the best word of every question is more probable than all others."""


def moved_to(cosines: torch.Tensor, base: ReferenceAnswers) -> ReferenceAnswers:
    return ReferenceAnswers(cosines, base.targets, base.sure, base.rows)


def surely(images: int) -> torch.Tensor:
    """Cosines of which the best word of every question stands out by .1."""
    cosines = 0.1 * torch.rand(images, len(WORDS), generator=torch.Generator().manual_seed(0))
    cosines[:, [WORDS.index(kind[0]) for kind in KINDS]] += 0.5
    for place, kind in enumerate(KINDS):
        cosines[place :: len(KINDS), WORDS.index(kind[1])] += 0.7
    return cosines


def test_a_model_agrees_with_itself_and_even_then_not_for_sure() -> None:
    said = base_answers(surely(200), SCALE)
    found = agreement(said, said, (10.0, 10.0))
    assert (found.agreement, found.variation, found.variation_at_most) == (1, 0, 0)
    assert 0.97 < found.at_least < 1


def test_other_best_answers_are_counted_and_their_interval_is_wider_where_there_are_fewer_images() -> None:
    widths = []
    for images in (50, 500):
        cosines = surely(images)
        moved = cosines.clone()
        moved[: images // 10] *= -1  # what was best is worst
        before = base_answers(cosines, SCALE)
        found = agreement(before, moved_to(moved, before), (4.0, 4.0))
        assert found.agreement == pytest.approx(0.9) and found.at_least < 0.9
        assert 0 < found.variation < found.variation_at_most
        widths.append(found.agreement - found.at_least)
    assert widths[0] > 2 * widths[1]


def test_each_question_counts_alike_however_many_words_it_has() -> None:
    cosines = surely(100)
    moved = cosines.clone()
    moved[:, [WORDS.index(count) for count in COUNTS]] *= -1
    before = base_answers(cosines, SCALE)
    assert agreement(before, moved_to(moved, before), (4.0, 4.0)).agreement == pytest.approx(
        1 - 1 / len(KINDS), abs=0.02
    )


def test_probabilities_move_where_best_answers_do_not() -> None:
    before = base_answers(surely(40), SCALE)
    found = agreement(before, moved_to(0.5 * before.cosines, before), (10.0, 10.0))
    assert found.agreement == 1 and found.variation > 0.1


def test_where_the_base_wavers_nothing_is_forgotten() -> None:
    cosines = surely(60)
    before = base_answers(cosines, SCALE)
    assert bool(before.sure.all())
    level = cosines.clone()
    level[:, [WORDS.index(count) for count in COUNTS]] = 0.0
    level[30:] = 0.0  # to these images it says nothing for sure
    wavers = base_answers(level, SCALE)
    assert not wavers.sure[:, KINDS.index(COUNTS)].any() and not wavers.sure[30:].any()
    moved = level.clone()
    moved[:, WORDS.index("five")] = 1.0
    moved[30:] = torch.rand(30, len(WORDS))
    assert agreement(wavers, moved_to(moved, wavers), (4.0, 4.0)).agreement == 1


def test_saved_tasks_count_beside_the_vocabulary(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    embeds = normalize(torch.randn(9, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    plain = answers_as(clip, embeds, None)
    base = answers_as(clip, embeds, None, saved=[[["sun"], ["rain", "wet"]], [["cat"], ["dog"], ["cow"]]])
    assert torch.equal(base.cosines[:, : len(WORDS)], plain.cosines)
    assert base.cosines.shape == (9, len(WORDS) + 5) and base.targets.shape == (9, len(KINDS) + 2)
    assert torch.equal(base.targets[:, -1], base.cosines[:, -3:].argmax(dim=1))
    sure = replace(base, sure=torch.ones_like(base.sure))
    moved = base.cosines.clone()
    moved[:, -3:] *= -1
    assert torch.allclose(replace(sure, cosines=moved).right, torch.tensor(1 - 1 / (len(KINDS) + 2)))


def test_of_two_words_the_base_is_sure_of_one_where_it_is_half_as_probable_again_as_by_chance() -> None:
    words = len(WORDS)
    cosines = torch.zeros(2, words + 2)
    cosines[:, words:] = torch.tensor([[0.5, 0.0], [2.0, 0.0]])  # .62 and .88
    said = base_answers(cosines, 1.0, questions=(*(QUESTIONS), [words, words + 1]))
    assert said.sure[:, -1].tolist() == [False, True] and not said.sure[:, :-1].any()


def test_what_the_base_says_is_right_of_the_same_images(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    embeds = normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    base = answers_as(clip, embeds, None, 40)
    assert base.cosines.shape == (6, len(WORDS)) and bool((base.right.nan_to_num(1) == 1).all())
    assert base.rows.tolist() == [40, 41, 42, 43, 44, 45]
    other = answers_as(clip, -embeds, base)
    assert torch.equal(other.targets, base.targets) and torch.equal(other.sure, base.sure)
    assert torch.equal(other.rows, base.rows) and float(other.right.nansum()) < float(base.right.nansum())
