"""Labels as vectors, a task's figures, and how well sentences and images are found."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from contract.checkpoints import Calibration, MultiLabelCalibration
from contract.metrics import Wording
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.evaluation.answers import (
    Answers,
    EvaluationSet,
    embed_labels,
    recall_at,
    result,
    retrieval,
    wording_gap,
    wrong_above_half,
)


def test_a_labels_vector_is_the_mean_of_its_sentences(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    vector = embed_labels(clip, [["red", "a red one"], ["blue"]])[0]
    mean = torch.stack([text.vector for text in clip.embed_texts(["red", "a red one"])]).mean(dim=0)
    assert torch.allclose(vector, normalize(mean, dim=-1), atol=1e-6)


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


def test_the_best_true_one_decides() -> None:
    cosines = torch.tensor([[0.9, 0.8, 0.1], [0.1, 0.2, 0.9]])
    truth = torch.tensor([[False, True, True], [False, False, True]])
    assert [recall_at(cosines, truth, k) for k in (1, 2)] == [0.5, 1.0]


def test_a_sentence_said_of_several_images_is_found_with_any_of_them() -> None:
    cosines = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.7]])
    truth = torch.tensor([[True, False], [True, False], [False, True]])
    found = retrieval(cosines, truth)
    assert found["text_to_image_recall_at_1"] == found["image_to_text_recall_at_1"] == 1


def test_a_model_that_scores_everything_alike_finds_nothing_by_luck() -> None:
    assert recall_at(torch.zeros(10, 10), torch.eye(10, dtype=torch.bool), 1) == 0
