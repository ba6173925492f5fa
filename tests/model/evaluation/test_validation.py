"""Answers to several questions of the same images."""

import pytest
import torch

from model.data.batch import Batch, Question
from model.evaluation.validation import retrieval, right

ROWS, TEXTS = (10, 11, 12), ("cat", "dog", "asleep", "awake", "up")
TRUE = torch.tensor([[1, 0, 1, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 1]]).bool()
KNOWN = torch.tensor([[1, 1, 1, 0, 1], [1, 1, 1, 1, 1], [0, 0, 1, 1, 1]]).bool()
ANIMAL = Question("animal", (0, 1), (0, 1))
SENTENCES = Question("retrieval", (2,), (2, 3, 4))
BESIDE = Question("retrieval", (0, 1, 2), (2, 3, 4), decides=False)
BATCH = Batch(ROWS, TEXTS, TRUE, KNOWN, questions=(ANIMAL, SENTENCES, BESIDE))


def test_only_the_texts_of_a_question_are_compared_and_only_deciding_ones_count() -> None:
    cosines = torch.tensor([[0.2, 0.1, 0.0, 0.9, 0.1], [0.3, 0.1, 0.9, 0.1, 0.1], [0.9, 0.1, 0.0, 0.1, 0.5]])
    assert right(cosines, BATCH).tolist() == [1, 0, 1]


def test_what_nobody_knows_is_no_wrong_answer() -> None:
    cosines = torch.tensor([[0.0, 0.0, 0.5, 0.9, 0.1], [0.0, 0.0, 0.9, 0.1, 0.1], [0.0, 0.0, 0.0, 0.1, 0.5]])
    assert retrieval(cosines, BATCH) == pytest.approx(2 / 3)
    assert retrieval(cosines, Batch(ROWS, TEXTS, TRUE, questions=BATCH.questions)) == pytest.approx(1 / 3)
    assert retrieval(cosines, Batch(ROWS, TEXTS, TRUE, KNOWN, questions=(ANIMAL,))) is None


def test_an_image_of_two_tasks_counts_once() -> None:
    colour = Question("colour", (1,), (2, 3))
    cosines = torch.tensor([[0.2, 0.1, 0, 0, 0], [0.1, 0.2, 0.9, 0.1, 0], [0, 0, 0, 0, 1.0]])
    batch = Batch(ROWS, TEXTS, TRUE, KNOWN, questions=(ANIMAL, colour, SENTENCES))
    assert right(cosines, batch).tolist() == [1, 0.5, 1]


def test_a_batch_without_questions_asks_for_all_texts() -> None:
    assert right(torch.eye(3), Batch((0, 1, 2), ("a", "b", "c"), torch.eye(3).bool())).tolist() == [1, 1, 1]
