"""What a checkpoint's calibration is fitted on."""

import torch

from model.evaluation.answers import Answers
from model.training.calibrate import curve_weights


def answered(right: int, of: int) -> Answers:
    """Four labels, of which the first is said to every image."""
    cosines = torch.tensor([[0.3, 0.1, 0.1, 0.1]]).repeat(of, 1)
    targets = torch.tensor([0] * right + [1] * (of - right))
    return Answers(cosines, targets, torch.arange(of))


def test_a_task_whose_answers_are_mostly_wrong_does_not_bend_the_curve_of_the_others() -> None:
    assert curve_weights([answered(9, 10), answered(4, 10), answered(8, 10)]) == [0.5, 0.0, 0.5]


def test_where_all_are_mostly_wrong_all_weigh_the_same() -> None:
    assert curve_weights([answered(4, 10), answered(3, 10)]) == [0.5, 0.5]
    assert curve_weights([]) == []
