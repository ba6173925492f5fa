"""Fitted probabilities."""

import math

import pytest
import torch

from contract.checkpoints import UnknownCalibration
from model.clip.calibration import (
    expected_calibration_error,
    fit_calibration,
    fit_multi_label,
    fit_temperature,
    fit_unknown,
)
from model.clip.scoring import unknown_by_confidence


def test_the_temperature_that_made_the_answers_is_found_again() -> None:
    torch.manual_seed(0)
    logits = torch.randn(20_000, 5) * 3
    targets = torch.multinomial((logits / 2).softmax(dim=1), 1).squeeze(1)
    assert fit_temperature([(logits, targets)]) == pytest.approx(2, rel=0.05)


def test_the_curve_that_made_the_truth_is_found_again() -> None:
    torch.manual_seed(0)
    cosines = torch.rand(50_000) * 2 - 1
    is_true = torch.rand(50_000) < torch.sigmoid(6 * cosines - 2)
    curve = fit_multi_label([(cosines[:, None], is_true[:, None])])
    even = -2 + math.log((~is_true).sum() / is_true.sum())  # what b is where as many pairs are true as false
    assert (curve.a, curve.b) == (pytest.approx(6, rel=0.05), pytest.approx(even, abs=0.1))


@pytest.mark.parametrize("images", [10, 1000])
def test_a_true_pair_scores_above_half_however_many_false_ones_there_are(images: int) -> None:
    torch.manual_seed(0)
    is_true = torch.eye(images, dtype=torch.bool)
    cosines = 0.15 + 0.05 * torch.randn(images, images) + 0.15 * is_true
    curve = fit_multi_label([(cosines, is_true)])
    assert torch.sigmoid(curve.a * cosines[is_true] + curve.b).mean() > 0.8
    assert torch.sigmoid(curve.a * cosines[~is_true] + curve.b).mean() < 0.2


@pytest.mark.parametrize("all_are", [True, False])
def test_pairs_of_one_kind_only_still_give_a_finite_curve(all_are: bool) -> None:
    curve = fit_multi_label([(torch.linspace(-1, 1, 9)[None], torch.full((1, 9), all_are))])
    assert math.isfinite(curve.a) and math.isfinite(curve.b)


def test_an_images_other_true_sentences_are_no_mistakes_to_the_temperature_whatever_they_score() -> None:
    torch.manual_seed(0)
    positives = torch.eye(20, dtype=torch.bool).repeat_interleave(2, dim=1)  # two sentences per image
    first = torch.tensor([True, False]).repeat(20)
    cosines = 0.2 * torch.randn(20, 40) + 0.3 * positives
    fitted = [
        fit_calibration([(torch.where(positives & ~first, others, cosines), positives)], logit_scale=20)
        for others in (cosines - 0.3, cosines + 0.3)
    ]
    assert fitted[0].temperature == fitted[1].temperature


def test_truth_that_a_threshold_separates_still_gives_a_finite_curve() -> None:
    curve = fit_multi_label([(torch.tensor([[-1.0, 0.0, 1.0]]), torch.tensor([[False, False, True]]))])
    assert 0 < curve.a < 1e4


def asked_among(labels: int, images: int, sharpness: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that single out an image's label, more or less."""
    targets = torch.arange(images) % labels
    return torch.randn(images, labels) + sharpness * torch.nn.functional.one_hot(targets, labels), targets


def unknown_scores(logits: torch.Tensor, calibration: UnknownCalibration) -> torch.Tensor:
    return unknown_by_confidence(logits.softmax(dim=1), calibration)


@pytest.mark.parametrize("labels", [4, 40])
def test_none_of_these_is_as_likely_as_it_is_said_to_be_however_many_labels_there_are(labels: int) -> None:
    torch.manual_seed(0)
    fitted = fit_unknown([asked_among(each, 2000, 3.0) for each in (3, 10, 100)])
    assert fitted is not None
    logits, targets = asked_among(labels, 4000, 3.0)
    known = unknown_scores(logits, fitted)
    kept = ~torch.nn.functional.one_hot(targets, labels).bool()
    unknown = unknown_scores(logits[kept].reshape(len(logits), -1), fitted)
    assert known.median() < 0.4 and unknown.median() > 0.6
    said = torch.cat([known, unknown])
    is_so = torch.cat([torch.zeros(len(known)), torch.ones(len(unknown))])
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (said >= low) & (said < low + 0.25)
        assert abs(float(is_so[inside].mean() - said[inside].mean())) < 0.1


@pytest.mark.parametrize("asked", [5, 20])
def test_what_was_fitted_with_one_number_of_labels_holds_for_others(asked: int) -> None:
    torch.manual_seed(0)
    fitted = fit_unknown([asked_among(10, 2000, 3.0)])
    assert fitted is not None
    logits, targets = asked_among(asked + 1, 2000, 3.0)
    is_target = torch.nn.functional.one_hot(targets, asked + 1).bool()
    known, unknown = (
        unknown_scores(logits[~without].reshape(len(logits), -1), fitted)
        for without in (is_target.roll(1, 1), is_target)
    )
    assert known.median() < 0.55 and unknown.median() > 0.6 and unknown.median() - known.median() > 0.3


def test_labels_that_an_image_was_not_asked_for_do_not_count_to_none_of_these() -> None:
    torch.manual_seed(0)
    logits, targets = asked_among(5, 500, 3.0)
    wider = torch.cat([logits, torch.full((500, 7), -torch.inf)], dim=1)
    fitted, same = (fit_unknown([(asked, targets)]) for asked in (wider, logits))
    assert fitted is not None and same is not None
    assert fitted.model_dump() == pytest.approx(same.model_dump(), rel=1e-4)


def test_a_question_of_two_labels_says_nothing_of_none_of_these_and_a_task_without_weight_does_not_either() -> None:
    torch.manual_seed(0)
    assert fit_unknown([asked_among(2, 100, 3.0)]) is None
    sharp, vague = asked_among(5, 500, 5.0), asked_among(5, 500, 0.0)
    assert fit_unknown([sharp, vague], [1, 0]) == fit_unknown([sharp])
    assert fit_unknown([sharp], [0]) is None
    assert fit_calibration([(sharp[0] / 20, torch.nn.functional.one_hot(sharp[1], 5).bool())], 20).unknown


def test_honest_confidence_has_no_calibration_error_and_boasting_has_much() -> None:
    targets = torch.tensor([0] * 75 + [1] * 25)
    honest, boasting = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.99, 0.01]])
    assert expected_calibration_error(honest.expand(100, 2), targets) == pytest.approx(0, abs=1e-6)
    assert expected_calibration_error(boasting.expand(100, 2), targets) == pytest.approx(0.24, abs=1e-6)


def test_a_task_weighs_the_same_however_many_images_it_has() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2000, 5) * 3
    sharp, flat = (torch.multinomial((logits / t).softmax(dim=1), 1).squeeze(1) for t in (1.0, 3.0))
    even = fit_temperature([(logits, sharp), (logits, flat)])
    uneven = fit_temperature([(logits.repeat(20, 1), sharp.repeat(20)), (logits, flat)])
    assert uneven == pytest.approx(even) and 1.2 < even < 2.8


def test_the_curve_follows_the_task_that_weighs_more() -> None:
    truth = torch.eye(50, dtype=torch.bool)
    torch.manual_seed(0)
    noise = 0.02 * torch.randn(50, 50)
    low, high = (shift + 0.1 * truth + noise for shift in (0.0, 0.3))
    thresholds = [
        -curve.b / curve.a
        for curve in (fit_multi_label([(low, truth), (high, truth)], weights) for weights in ([20, 1], None, [1, 20]))
    ]
    assert thresholds[0] < thresholds[1] < thresholds[2]
