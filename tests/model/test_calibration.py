"""Fitted probabilities."""

import pytest
import torch

from model.calibration import expected_calibration_error, fit_multi_label, fit_temperature


def test_the_temperature_that_made_the_answers_is_found_again() -> None:
    torch.manual_seed(0)
    logits = torch.randn(20_000, 5) * 3
    targets = torch.multinomial((logits / 2).softmax(dim=1), 1).squeeze(1)
    assert fit_temperature([(logits, targets)]) == pytest.approx(2, rel=0.05)


def test_the_curve_that_made_the_truth_is_found_again() -> None:
    torch.manual_seed(0)
    cosines = torch.rand(50_000) * 2 - 1
    is_true = torch.rand(50_000) < torch.sigmoid(6 * cosines - 2)
    curve = fit_multi_label(cosines, is_true)
    assert (curve.a, curve.b) == (pytest.approx(6, rel=0.05), pytest.approx(-2, rel=0.05))


def test_truth_that_a_threshold_separates_still_gives_a_finite_curve() -> None:
    curve = fit_multi_label(torch.tensor([-1.0, 0.0, 1.0]), torch.tensor([False, False, True]))
    assert 0 < curve.a < 1e4


def test_honest_confidence_has_no_calibration_error_and_boasting_has_much() -> None:
    targets = torch.tensor([0] * 75 + [1] * 25)
    honest, boasting = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.99, 0.01]])
    assert expected_calibration_error(honest.expand(100, 2), targets) == pytest.approx(0, abs=1e-6)
    assert expected_calibration_error(boasting.expand(100, 2), targets) == pytest.approx(0.24, abs=1e-6)
