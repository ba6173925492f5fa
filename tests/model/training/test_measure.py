"""What is measured of a finished run, and what its calibration is fitted on."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from PIL import Image

from contract.hyperparameters import Hyperparameters
from contract.metrics import Heads, Metrics
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.data.records import Split
from model.evaluation.answers import Answers
from model.training.measure import NewDomain, curve_weights, measure_new_domain

COLOUR: list[tuple[Split, Mapping[str, str]]] = [
    ("train", {"colour": "red"}),
    ("train", {"colour": "green"}),
    ("validation", {"colour": "red"}),
    ("validation", {"colour": "green"}),
]
MOOD_IN_TRAINING: list[tuple[Split, Mapping[str, str]]] = [("train", {"mood": "sad"}), ("train", {"mood": "merry"})]


def domain_of(directory: Path, lines: list[tuple[Split, Mapping[str, str]]]) -> NewDomain | None:
    """Of images that have these splits and labels."""
    rows = [{"image": f"{n}.png", "split": split, "labels": labels} for n, (split, labels) in enumerate(lines)]
    (directory / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for number in range(len(lines)):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(directory / f"{number}.png")
    return NewDomain.of(directory, Hyperparameters())


@pytest.mark.parametrize(
    ("more", "tasks"),
    [
        ([], ["colour"]),
        (MOOD_IN_TRAINING, ["colour"]),
        ([*MOOD_IN_TRAINING, ("validation", {"mood": "sad"})], ["colour", "mood"]),
        ([*MOOD_IN_TRAINING, ("validation", {"mood": "sad"}), ("test", {"colour": "red"})], ["colour"]),
    ],
)
def test_only_tasks_of_which_images_are_kept_back_are_asked(
    tmp_path: Path, checkpoint_dir: Path, more: list[tuple[Split, Mapping[str, str]]], tasks: list[str]
) -> None:
    domain = domain_of(tmp_path, [*COLOUR, *more])
    assert domain is not None and [task.name for task in domain.tasks] == tasks
    clip = Clip(load_checkpoint(checkpoint_dir))
    metrics = Metrics()
    measure_new_domain(metrics, domain, clip, clip.calibration, None)
    assert metrics.new is not None and list(metrics.new) == tasks
    assert metrics.to_json().keys() == {"new", "new_wording", "new_reported_on"}
    assert list(domain.answers(clip, domain.fitting)) == tasks


def test_labels_of_which_no_image_is_kept_back_make_no_domain(tmp_path: Path) -> None:
    assert (
        domain_of(tmp_path, [*MOOD_IN_TRAINING, ("validation", {"other": "one"}), ("train", {"mood": "sad"})]) is None
    )


def test_a_class_that_is_spelled_in_two_ways_is_one_label(tmp_path: Path) -> None:
    spelled: list[tuple[Split, Mapping[str, str]]] = [
        ("train", {"thing": "traffic_light"}),
        ("validation", {"thing": "traffic-light"}),
        ("validation", {"thing": "car"}),
    ]
    domain = domain_of(tmp_path, spelled)
    assert domain is not None and domain.tasks[0].labels == ("car", "traffic light")


def test_what_heads_make_of_the_training_images_is_measured_on_base_and_model(
    tmp_path: Path, checkpoint_dir: Path
) -> None:
    shades = [("red", 200), ("green", 60)]
    splits: list[Split] = ["train", "train", "train", "train", "validation"]
    lines = [(split, {"shade": shade}) for split in splits for shade, _ in shades]
    domain = domain_of(tmp_path, lines)
    assert domain is not None and len(domain.taught) == 8
    for number in range(len(lines)):
        _, red = shades[number % 2]
        Image.new("RGB", (20, 20), (red, number, 255 - red)).save(tmp_path / f"{number}.png")
    clip = Clip(load_checkpoint(checkpoint_dir))
    metrics = Metrics()
    measure_new_domain(metrics, domain, clip, clip.calibration, clip)
    assert metrics.new_heads == {"shade": Heads(images=8, before=1.0, after=1.0)}


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
