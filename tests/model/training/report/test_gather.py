"""From what was measured to the report."""

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from contract.checkpoints import CheckpointMetadata
from contract.metrics import Metrics
from contract.reports import MAX_CONFUSED_LABELS, MAX_MISTAKES, MAX_REPORTED_CHARS
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.training.loop import Loop
from model.training.measure import measure_new_domain
from model.training.report.gather import Asked, calibration, captioned, confusion, labelled, mistakes, report_of
from tests.model.training.test_measure import COLOUR, domain_of


def asked(
    said: Sequence[int], true: Sequence[int], labels: Sequence[str] = ("a", "b", "c"), sure: float = 1.0
) -> Asked:
    """Images of which each is called one label, so surely, and another may be true."""
    rows = torch.arange(len(said))
    cosines = torch.zeros(len(said), len(labels))
    cosines[rows, torch.tensor(said)] = torch.linspace(sure, sure / 2, len(said))
    truth = torch.zeros(len(said), len(labels), dtype=torch.bool)
    truth[rows, torch.tensor(true)] = True
    names = [f"{row}.png" for row in range(len(said))]
    return Asked("task", labels, cosines, truth, names, lambda row: Image.new("RGB", (400, 200), (row, 0, 0)))


def test_confusions_are_counted_by_what_is_true_and_what_was_said() -> None:
    found = confusion(asked(said=[0, 1, 1, 2], true=[0, 0, 1, 2]))
    assert (found.labels, found.left_out) == (["a", "b", "c"], 0)
    assert found.counts == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_of_many_labels_those_are_shown_that_are_confused() -> None:
    labels = [f"label {number}" for number in range(50)]
    found = confusion(asked(said=[7, 3, 3], true=[41, 41, 3], labels=labels))
    assert {"label 3", "label 7", "label 41"} <= set(found.labels)
    assert (len(found.labels), found.left_out) == (MAX_CONFUSED_LABELS, 50 - MAX_CONFUSED_LABELS)
    assert sum(map(sum, found.counts)) == 3


def test_calibration_compares_how_sure_answers_are_with_how_many_are_right() -> None:
    sure, unsure = asked([0, 0, 0, 1], [0, 0, 0, 0], sure=20), asked([0, 0], [0, 1], sure=0.0)
    bins = calibration([sure, unsure], scale=1.0)
    assert [found.images for found in bins] == [2, 4]
    assert bins[0].confidence == pytest.approx(1 / 3, abs=1e-3)
    assert (bins[1].accuracy, round(bins[1].confidence)) == (0.75, 1)
    assert calibration([], scale=1.0) == []


def test_another_true_sentence_is_no_mistake_and_takes_no_confidence() -> None:
    both = asked([0], [0])
    both.truth[0, 1] = True
    both.cosines[0, 1] = 0.9
    assert mistakes([both], 10.0) == [] and float(both.scores(10.0)[0, 1]) == 0


def test_the_worst_mistakes_are_the_surest_with_small_pictures() -> None:
    found = mistakes([asked([1] * 40, [0] * 40, sure=3.0), asked([0], [0])], scale=1.0)
    assert len(found) == MAX_MISTAKES and [each.image for each in found[:2]] == ["0.png", "1.png"]
    assert (found[0].said, found[0].truth) == ("b", "a") and found[0].score > found[1].score > found[1].truth_score
    picture = Image.open(io.BytesIO(base64.b64decode(found[0].thumbnail)))
    assert (picture.format, picture.size) == ("JPEG", (112, 56)) and len(found[0].thumbnail) < 10_000


def test_long_words_are_cut() -> None:
    (found,) = mistakes([asked([1], [0], labels=["x" * 5000, "y" * 5000])], scale=1.0)
    assert len(found.said) == len(found.truth) == MAX_REPORTED_CHARS


def test_the_new_domains_tasks_are_reported_as_they_were_measured(tmp_path: Path, checkpoint_dir: Path) -> None:
    domain = domain_of(tmp_path, COLOUR * 3)
    assert domain is not None
    clip, metrics = Clip(load_checkpoint(checkpoint_dir)), Metrics()
    said = measure_new_domain(metrics, domain, clip, clip.calibration, clip)
    metadata = CheckpointMetadata(version="v", parent="tiny-1", metrics=metrics.to_json())
    report = report_of(metadata, labelled(domain, said), clip.logit_scale, [])
    (task,) = report.tasks
    assert (task.name, task.kind, task.images, task.before) == ("colour", "new", 6, task.after)
    assert (task.taught_images, task.taught_before) == (6, task.taught_after)
    (confused,) = report.confusions
    right = sum(confused.counts[label][label] for label in range(2))
    assert confused.labels == ["green", "red"] and right / 6 == pytest.approx(task.after, abs=1e-4)
    assert sum(found.images for found in report.calibration) == 6
    assert len(report.mistakes) == 6 - right and report.reported_on == "validation"
    assert all(mistake.image.endswith(".png") for mistake in report.mistakes)


def test_without_labels_sentences_are_compared(loop_of: Callable[..., Loop]) -> None:
    found = captioned(loop_of(replay_share=0.5))
    assert (found.task, list(found.names)) == ("", ["0.png", "1.png", "2.png", "3.png"])
    assert found.truth.sum(dim=1).tolist() == [2, 2, 2, 2]
    assert np.asarray(found.picture(0)).size
    report = report_of(CheckpointMetadata(version="v"), [found], 100.0, [])
    assert report.confusions == [] and sum(each.images for each in report.calibration) == 4
