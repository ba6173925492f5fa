"""The server's probabilities beside transformers'."""

import pytest
import torch

from benchmarks.serving.agreement import compare


def test_answers_differ_by_the_greatest_difference_and_count_where_the_best_label_leads() -> None:
    theirs = {"shape": torch.tensor([[0.9, 0.1], [0.505, 0.495]]), "colour": torch.tensor([[0.2, 0.8]])}
    ours = {"shape": torch.tensor([[0.8, 0.2], [0.495, 0.505]]), "colour": torch.tensor([[0.2, 0.8]])}
    found = compare(theirs, ours)
    assert found.max_abs == pytest.approx(0.1)
    assert (found.argmax, found.clear_argmax, found.answers) == (pytest.approx(2 / 3), 1.0, 3)
