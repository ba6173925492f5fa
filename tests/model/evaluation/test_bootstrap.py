"""Intervals."""

import pytest
import torch

from model.evaluation.answers import Answers
from model.evaluation.bootstrap import change, losses, resampled_means


def answers(right: torch.Tensor, rows: torch.Tensor | None = None) -> Answers:
    """Of two labels the first is the right one; `right` bool [images]"""
    cosines = torch.stack([right.float(), 1 - right.float()], dim=1)
    targets = torch.zeros(len(right), dtype=torch.long)
    return Answers(cosines, targets, torch.arange(len(right)) if rows is None else rows)


def test_a_resampled_mean_spreads_as_the_theory_says() -> None:
    torch.manual_seed(0)
    values = torch.randn(400, 1) * 2 + 1
    means = resampled_means(values)
    assert float(means.mean()) == pytest.approx(float(values.mean()), abs=0.02)
    assert float(means.std()) == pytest.approx(float(values.std()) / 20, rel=0.1)


def test_images_that_a_task_did_not_ask_about_do_not_count_for_it() -> None:
    values = torch.full((100, 2), torch.nan)
    values[:, 0] = 1.0
    values[:50, 1] = -1.0
    means = resampled_means(values)
    assert torch.equal(means, torch.tensor([1.0, -1.0]).expand_as(means))


@pytest.mark.slow
def test_ninety_five_of_a_hundred_intervals_hold_the_truth() -> None:
    torch.manual_seed(0)
    held = 0
    for _ in range(200):
        before = torch.rand(300) < 0.6
        after = torch.where(torch.rand(300) < 0.2, ~before, before)  # gains .4 * .2 and loses .6 * .2
        found = change(answers(before), answers(after))
        held += found.low <= -0.04 <= found.high
    assert 0.9 * 200 <= held <= 0.99 * 200


def test_equal_answers_have_not_changed_and_a_few_of_them_are_no_certainty_that_nothing_was_lost() -> None:
    right = torch.arange(40) % 2 == 0
    same = change(answers(right), answers(right))
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    lost, resampled = losses({"task": answers(right)}, {"task": answers(right)})
    few = float(resampled.quantile(0.95))
    assert float(lost[0]) == 0 and few > 0.02
    many = right.repeat(100)
    assert float(losses({"task": answers(many)}, {"task": answers(many)})[1].quantile(0.95)) < few / 10


def test_tasks_that_share_images_are_resampled_together() -> None:
    torch.manual_seed(0)
    before, after = torch.ones(500, dtype=torch.bool), torch.rand(500) < 0.8
    elsewhere = torch.arange(500) + 500
    shared = losses({"a": answers(before), "b": answers(before)}, {"a": answers(after), "b": answers(after)})[1].mean(
        dim=1
    )
    apart = losses(
        {"a": answers(before), "b": answers(before, elsewhere)}, {"a": answers(after), "b": answers(after, elsewhere)}
    )[1].mean(dim=1)
    assert float(apart.std()) == pytest.approx(float(shared.std()) / 2**0.5, rel=0.15)
