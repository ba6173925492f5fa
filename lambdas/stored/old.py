"""What was labelled before a training: images of other datasets, on which it is measured what the model forgets.

Two kinds of datasets are asked. Of those that the base and its own bases were trained on, what their snapshots kept
back for validation or a test; of others, what annotations say for a saved task. What any of these trainings or the new
one trains on is left out: no answer to that tells what a model can do. The new dataset is the new task, and no old one.
"""

import json
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from contract.annotations import ANNOTATIONS_PREFIX, image_key
from contract.models import Model
from contract.questions import TASKS_PREFIX, task_name
from contract.reference import sample
from contract.trainings import SNAPSHOT_LINES, SNAPSHOTS_PREFIX
from lambdas.aws.clients import concurrently
from lambdas.aws.s3 import Store
from lambdas.stored.annotations import AnnotationStore

MAX_ANCESTORS = 20
MAX_DATASETS = 10
"""Of either kind."""
MAX_IMAGES = 300
"""Of one task in one dataset: so many tell a loss of 0.05 from none."""
MAX_READ = 3_000
"""Annotations of one dataset, a fair sample."""
READ_S = 60
"""For those of all datasets together."""

Labels = dict[str, str]
"""Of an image, by the task's name here."""


@dataclass
class _Found:
    """`labels` of images, by the name of the task in its dataset; `trained`: images that are in no such set."""

    labels: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    trained: set[str] = field(default_factory=set)


def asked_as(task: str | None, dataset: str) -> str:
    """What a task is called on a dataset's images: no other kind of old task has such a name."""
    return f"{task or 'labels'} of {dataset}"


def lineage(models: Iterable[Model], version: str | None) -> list[Model]:
    """A version and those that it was fine-tuned from, the newest first, as far as they are registered."""
    known = {model.version: model for model in models}
    found: list[Model] = []
    while version in known and len(found) < MAX_ANCESTORS and known[version] not in found:
        found.append(known[version])
        version = known[version].parent
    return found


def labelled_before(
    store: Store, ancestors: Iterable[Model], dataset: str, trained: Collection[str]
) -> dict[str, Labels]:
    """Labels of images by their sha256; what there is none of is left out. `trained`: images that the new training
    learns from. Of each task in a dataset a sample by hash is taken, so that it is the same for the same annotations.
    """
    found = _Found(trained={*trained})
    of_lineage = _from_snapshots(store, ancestors, dataset, found)
    _from_annotations(store, {dataset, *of_lineage}, found)
    chosen: dict[str, Labels] = defaultdict(dict)
    for name, labels in found.labels.items():
        for image in sample(labels.keys() - found.trained, MAX_IMAGES):
            chosen[image][name] = labels[image]
    images = sorted(chosen)
    # a job that finds one of its objects gone fails, and who erased an image erased it for good
    there = concurrently(lambda image: next(store.keys(image_key(image)), None) is not None, images)
    return {image: chosen[image] for image, is_there in zip(images, there, strict=True) if is_there}


def lines(bucket: str, images: dict[str, Labels]) -> Iterator[str]:
    """A dataset as JSON lines."""
    for image, labels in images.items():
        line = {"image": f"s3://{bucket}/{image_key(image)}", "split": "test", "labels": labels}
        yield json.dumps(line, ensure_ascii=False)


def _from_snapshots(store: Store, ancestors: Iterable[Model], dataset: str, found: _Found) -> list[str]:
    """Of each dataset the newest snapshot counts. The datasets' names."""
    names: list[str] = []
    for model in ancestors:
        if model.training is None or model.dataset is None:
            continue
        counts = model.dataset != dataset and model.dataset not in names and len(names) < MAX_DATASETS
        for line in store.lines(f"{SNAPSHOTS_PREFIX}{model.training}/{SNAPSHOT_LINES}"):
            said = json.loads(line.content)
            image = said["image"].rpartition("/")[2]
            if said["split"] == "train":
                found.trained.add(image)
            elif counts:
                for task, label in _labels(said).items():
                    found.labels[asked_as(task or None, model.dataset)][image] = label
        if counts:
            names.append(model.dataset)
    return names


def _labels(said: dict[str, Any]) -> Labels:
    """Of a snapshot's line; "" stands for no task."""
    return {**({"": said["label"]} if "label" in said else {}), **said.get("labels", {})}


def _from_annotations(store: Store, but_not: Collection[str], found: _Found) -> None:
    """What is said for saved tasks in any other dataset."""
    tasks = {task_name(key) for key in store.keys(TASKS_PREFIX)}
    if not tasks:
        return
    until_s = time.monotonic() + READ_S
    others = (name for name in store.folders(ANNOTATIONS_PREFIX) if name not in but_not)
    for dataset in islice(others, MAX_DATASETS):
        read, _ = AnnotationStore(store).some(dataset, MAX_READ, until_s)
        for each in read:
            if each.label is not None and each.task in tasks:
                found.labels[asked_as(each.task, dataset)][each.image] = each.label
