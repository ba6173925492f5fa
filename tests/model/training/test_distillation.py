"""The base's answers, kept while something else is learnt."""

from collections.abc import Callable
from sys import maxsize

import pytest
import torch
from torch.nn.functional import normalize

from model.data.class_wording import HELD_OUT_WORDINGS, with_article
from model.evaluation.vocabulary import EVERYDAY, KINDS, WORDS
from model.training.distillation import (
    QUESTION_WORDS,
    SAVED_TASKS,
    WORDINGS,
    Asked,
    Teacher,
    bank_questions,
    saved_questions,
)
from model.training.loop import Loop
from model.training.recipe import DISTILLATION_WEIGHT
from model.training.towers import Towers
from model.world.scene import COLOURS
from tests.model.conftest import tiny_model, tiny_tokenizer
from tests.model.loops import exported


def test_what_a_run_distilled_with_stands_in_its_checkpoint(loop_of: Callable[..., Loop]) -> None:
    assert exported(loop_of()).distillation_weight == DISTILLATION_WEIGHT
    assert exported(loop_of(distillation_weight=0.5)).distillation_weight == 0.5


def test_equal_answers_cost_nothing_and_others_are_pulled_to_the_bases() -> None:
    torch.manual_seed(0)
    teacher, asked = Teacher(tiny_model(tiny_tokenizer()), 1.0, 0), _asked(6)
    answers = torch.rand(4, 6) - 0.5
    assert float(teacher.loss(answers, answers, asked).detach()) == pytest.approx(0, abs=1e-6)
    cosines = (torch.rand(4, 6) - 0.5).requires_grad_()
    before = teacher.loss(cosines, answers, asked)
    (gradient,) = torch.autograd.grad(before, cosines)
    after = teacher.loss(cosines - 1e-2 * normalize(gradient, dim=None), answers, asked)
    assert 0 < float(after.detach()) < float(before.detach())


@pytest.mark.slow
def test_it_keeps_what_the_base_says_to_other_sentences(loop_of: Callable[..., Loop]) -> None:
    """The same run twice, apart from distillation: how far its answers over unseen bank sentences move."""
    sentences, moved = tuple(text for question in bank_questions(7, 1000) for text in question), []
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


def test_every_question_is_asked_in_each_step_by_seed_and_step_alone() -> None:
    assert len(set(WORDS)) == len(WORDS) > 150
    asked = bank_questions(0, 5)
    assert asked == bank_questions(0, 5) != bank_questions(0, 6) and asked != bank_questions(1, 5)
    assert [len(set(texts)) for texts in asked] == [min(len(kind), QUESTION_WORDS) for kind in KINDS]
    often = {text for step in range(60) for text in bank_questions(0, step)[0]}
    assert all(any(word in text for text in often) for word in EVERYDAY)


def test_a_question_is_asked_in_one_of_many_wordings_and_in_none_that_measures() -> None:
    assert {*WORDINGS}.isdisjoint({*HELD_OUT_WORDINGS, *(wording.removesuffix(".") for wording in HELD_OUT_WORDINGS)})
    colours = {word: wording for wording in WORDINGS for word in _said(COLOURS, wording)}
    found = [{colours[text] for text in bank_questions(0, step)[KINDS.index(COLOURS)]} for step in range(200)]
    assert all(len(wordings) == 1 for wordings in found)
    assert len(set.union(*found)) > 80


def _said(kind: tuple[str, ...], wording: str) -> list[str]:
    return [wording.format(word) for bare in kind for word in (bare, with_article(bare))]


def test_the_batchs_own_texts_come_first_and_none_twice() -> None:
    teacher = Teacher(tiny_model(tiny_tokenizer()), 1.0, 3)
    questions = bank_questions(3, 4)
    asked = teacher.asked(4, ("a word", questions[2][1]))
    assert asked.texts[:2] == ("a word", questions[2][1]) and len(asked.texts) == len(set(asked.texts))
    assert [tuple(asked.texts[place] for place in places) for places in asked.questions] == questions


def test_saved_tasks_are_asked_in_turn_each_label_in_one_of_its_sentences() -> None:
    saved = tuple(((f"sun {task}", f"sunny {task}"), (f"rain {task}",)) for task in range(SAVED_TASKS + 2))
    asked = saved_questions(saved, 0, 5)
    assert asked == saved_questions(saved, 0, 5) != saved_questions(saved, 0, 6)
    assert len(asked) == SAVED_TASKS and all(len(question) == 2 for question in asked)
    often = {text for step in range(60) for question in saved_questions(saved, 0, step) for text in question}
    assert often == {text for labels in saved for sentences in labels for text in sentences}
    for question in asked:
        (task,) = {text.split()[1] for text in question}
        assert {*question} <= {text for sentences in saved[int(task)] for text in sentences}
    large = tuple((f"word {label}",) for label in range(3 * QUESTION_WORDS))
    assert len(set(saved_questions((large,), 0, 0)[0])) == QUESTION_WORDS
    assert saved_questions((), 0, 0) == []


def test_a_saved_task_is_a_question_beside_the_vocabularys() -> None:
    saved = (("a sunny day",), ("a rainy day", "rain"))
    teacher = Teacher(tiny_model(tiny_tokenizer()), 0.0, 3, 1.0, (saved,))
    asked = teacher.asked(4, ("a word",))
    *of_bank, own = [tuple(asked.texts[place] for place in places) for places in asked.questions]
    assert of_bank == bank_questions(3, 4) and {"a sunny day"} < {*own} <= {"a sunny day", "a rainy day", "rain"}


def test_answers_to_reference_images_weigh_on_their_own_and_texts_may_find_other_images() -> None:
    torch.manual_seed(0)
    model, asked = tiny_model(tiny_tokenizer()), _asked(9)
    said, base = torch.rand(6, 9) - 0.5, torch.rand(6, 9) - 0.5
    new_alone = float(Teacher(model, 1.0, 0).loss(said[:4], base[:4], asked).detach())
    on_reference = Teacher(model, 0.0, 0, 3.0)
    both = float(Teacher(model, 1.0, 0, 3.0).loss(said, base, asked, 2).detach())
    reference_alone = float(on_reference.loss(said[4:], base[4:], asked, 2).detach())
    assert both == pytest.approx(new_alone + reference_alone, rel=1e-5) and reference_alone > 0
    assert float(on_reference.loss(said, base, asked, 2).detach()) == pytest.approx(reference_alone)
    moved = base + torch.tensor([[0.3], [-0.2], [0.0], [0.1], [0.5], [-0.4]])  # every text's best image is another one
    assert float(on_reference.loss(moved, base, asked, 2).detach()) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("reference", [0, 1])
def test_a_question_of_which_the_base_says_little_beside_another_is_kept_as_well(reference: int) -> None:
    """Of seven words, the first three are sure of what is shown, and the others waver between how many. The eighth is
    a text of the batch, which is not asked.
    """
    teacher, asked = Teacher(tiny_model(tiny_tokenizer()), 1.0, 0, 1.0), Asked(("",) * 8, ((0, 1, 2), (3, 4, 5, 6)))
    base = torch.tensor([[1.0, 0.0, 0.0, 0.10, 0.0, 0.0, 0.0, 0.0]])
    counted_otherwise = torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.10, 0.0, 0.0, 0.0]])
    shown_otherwise = torch.tensor([[0.90, 0.10, 0.0, 0.10, 0.0, 0.0, 0.0, 0.0]])
    counted = float(teacher.loss(counted_otherwise, base, asked, reference).detach())
    assert counted > float(teacher.loss(shown_otherwise, base, asked, reference).detach())
    # one question against the other, and the batch's own text: no answer
    shifted = base + torch.tensor([[0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.9]])
    assert float(teacher.loss(shifted, base, asked, reference).detach()) == pytest.approx(0, abs=1e-6)


def _asked(texts: int) -> Asked:
    """One question, of all texts."""
    return Asked(("",) * texts, (tuple(range(texts)),))
