"""A task's figures."""

from pathlib import Path

import pytest
import torch

from contract.metrics import Wording
from model.clip.checkpoint import Calibration, MultiLabelCalibration, load_checkpoint
from model.clip.encode import Clip
from model.evaluation.answers import Answers, EvaluationSet, result, wording_gap, wrong_above_half
from model.evaluation.embed import embed_labels


def test_macro_recall_counts_a_rare_label_as_much_as_a_frequent_one() -> None:
    targets = torch.tensor([0] * 9 + [1])
    always_first = Answers(torch.tensor([[0.5, 0.1, 0.2]]).expand(10, 3), targets, torch.arange(10))
    found = result(always_first, logit_scale=10, temperature=1)
    assert (found.accuracy, found.macro_recall, found.images) == (pytest.approx(0.9), 0.5, 10)
    assert found.chance == pytest.approx(1 / 3)


def test_the_temperature_changes_one_calibration_error_and_not_the_other() -> None:
    cosines = torch.tensor([[0.3, 0.1]]).expand(10, 2)
    said = Answers(cosines, torch.tensor([0] * 6 + [1] * 4), torch.arange(10))
    cold, warm = (result(said, logit_scale=20, temperature=temperature) for temperature in (1.0, 10.0))
    assert cold.raw_calibration_error == warm.raw_calibration_error == cold.calibration_error
    assert warm.calibration_error < 0.02 < cold.calibration_error


def test_wrong_labels_above_half_are_counted_among_wrong_ones() -> None:
    said = Answers(torch.tensor([[0.9, 0.6, 0.1], [0.6, 0.9, 0.1]]), torch.tensor([0, 1]), torch.arange(2))
    calibration = Calibration(temperature=1, multi_label=MultiLabelCalibration(a=10, b=-5))
    assert wrong_above_half({"task": said}, calibration) == {"task": 0.5}
    assert wrong_above_half({"task": said}, Calibration()) == {}


def test_the_gap_is_between_single_wordings(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    trained, strange = [["red", "a red one"], ["blue", "a blue one"]], [["blue"], ["red"]]
    images = embed_labels(clip, [["red"], ["blue"], ["a red one"], ["a blue one"]])
    asked = EvaluationSet(images, torch.tensor([0, 1, 0, 1]), torch.arange(4))
    alone = [asked.answers(clip, [[said[n]] for said in trained]).right.float().mean() for n in range(2)]
    swapped = float(asked.answers(clip, strange).right.float().mean())
    mean = float(sum(alone)) / 2
    gap = wording_gap(clip, asked, trained, strange)
    assert gap == Wording(trained=mean, held_out=swapped, gap=round(mean - swapped, 4))
