"""The tasks that a dataset's own labels make."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from contract.hyperparameters import Hyperparameters
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.data.records import Split
from model.training.new_domain import NewDomain

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
    figures = domain.metrics(clip, clip.calibration, None)["new"]
    assert isinstance(figures, dict) and list(figures) == tasks
    assert len(domain.pairs(clip)) == len(tasks)


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
