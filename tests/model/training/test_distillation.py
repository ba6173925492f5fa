"""The base's answers, kept while something else is learnt."""

from collections.abc import Callable
from sys import maxsize

import pytest
import torch
from torch.nn.functional import normalize

from model.evaluation.vocabulary import WORDS
from model.training.distillation import BANK_TEXTS, Teacher, bank_sentences
from model.training.loop import Loop
from model.training.recipe import DISTILLATION_WEIGHT
from model.training.towers import Towers
from tests.model.conftest import tiny_model, tiny_tokenizer
from tests.model.loops import exported


def test_what_a_run_distilled_with_stands_in_its_checkpoint(loop_of: Callable[..., Loop]) -> None:
    assert exported(loop_of()).distillation_weight == DISTILLATION_WEIGHT
    assert exported(loop_of(distillation_weight=0.5)).distillation_weight == 0.5


def test_equal_answers_cost_nothing_and_others_are_pulled_to_the_bases() -> None:
    torch.manual_seed(0)
    teacher = Teacher(tiny_model(tiny_tokenizer()), 1.0, 0)
    answers = torch.rand(4, 6) - 0.5
    assert float(teacher.loss(answers, answers).detach()) == pytest.approx(0, abs=1e-6)
    cosines = (torch.rand(4, 6) - 0.5).requires_grad_()
    before = teacher.loss(cosines, answers)
    (gradient,) = torch.autograd.grad(before, cosines)
    after = teacher.loss(cosines - 1e-2 * normalize(gradient, dim=None), answers)
    assert 0 < float(after.detach()) < float(before.detach())


@pytest.mark.slow
def test_it_keeps_what_the_base_says_to_other_sentences(loop_of: Callable[..., Loop]) -> None:
    """The same run twice, apart from distillation: how far its answers over unseen bank sentences move."""
    sentences, moved = bank_sentences(7, 1000, 80), []
    for weight in (0.0, 5.0):
        loop = loop_of(distillation_weight=weight, ema_decay=0)
        _, pixels = loop.prefetcher.read(0, 8)
        before = _answers(loop, pixels, sentences)
        for _ in range(12):
            loop.take_step()
        moved.append(float((_answers(loop, pixels, sentences) - before).abs().mean()))
    assert moved[1] < 0.7 * moved[0]


@torch.no_grad()
def _answers(loop: Loop, pixels: torch.Tensor, sentences: tuple[str, ...]) -> torch.Tensor:
    towers = Towers(loop.averaged, loop.checkpoint.tokenizer, False, maxsize)
    cosines = towers.embed_images(pixels) @ towers.embed_texts(sentences).T
    return (cosines * loop.averaged.logit_scale.exp()).softmax(dim=1)


def test_the_bank_is_wide_and_a_pure_function_of_seed_and_step() -> None:
    assert len(set(WORDS)) == len(WORDS) > 150
    said = bank_sentences(0, 5, BANK_TEXTS)
    assert said == bank_sentences(0, 5, BANK_TEXTS) and len(set(said)) == BANK_TEXTS
    assert said != bank_sentences(0, 6, BANK_TEXTS) and said != bank_sentences(1, 5, BANK_TEXTS)


def test_the_batchs_own_texts_come_first_and_none_twice() -> None:
    teacher = Teacher(tiny_model(tiny_tokenizer()), 1.0, 3)
    bank = bank_sentences(3, 4, BANK_TEXTS)
    texts = teacher.texts(4, ("a word", bank[5]))
    assert texts[:2] == ("a word", bank[5]) and len(texts) == len(set(texts)) == BANK_TEXTS + 1


def test_answers_to_reference_images_weigh_on_their_own_and_texts_may_find_other_images() -> None:
    torch.manual_seed(0)
    model = tiny_model(tiny_tokenizer())
    said, base = torch.rand(6, 9) - 0.5, torch.rand(6, 9) - 0.5
    new_alone = float(Teacher(model, 1.0, 0).loss(said[:4], base[:4]).detach())
    on_reference = Teacher(model, 0.0, 0, 3.0)
    both = float(Teacher(model, 1.0, 0, 3.0).loss(said, base, 2).detach())
    reference_alone = float(on_reference.loss(said[4:], base[4:], 2).detach())
    assert both == pytest.approx(new_alone + reference_alone, rel=1e-5) and reference_alone > 0
    assert float(on_reference.loss(said, base, 2).detach()) == pytest.approx(reference_alone)
    moved = base + torch.tensor([[0.3], [-0.2], [0.0], [0.1], [0.5], [-0.4]])  # every text's best image is another one
    assert float(on_reference.loss(moved, base, 2).detach()) == pytest.approx(0, abs=1e-5)
