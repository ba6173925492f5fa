"""What was labelled before a training: images of other datasets, on which it is measured what the model forgets.

Two kinds of datasets are asked. Of those that the base and its own bases were trained on, what their snapshots kept
back for validation or a test; of others, what annotations say for a saved task. What any of these trainings or the new
one trains on is left out: no answer to that tells what a model can do. The new dataset is the new task, and no old one.
An image of which several labels of one task are said is left out of it: whatever a model answers may be right.
"""

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract.annotations import ANNOTATIONS_PREFIX, image_key
from contract.models import Model
from contract.problems import BadRequest
from contract.questions import task_name
from contract.reference import sample
from contract.texts import same_to_the_model
from contract.trainings import MAX_OLD_IMAGES, MAX_OLD_SETS, SNAPSHOT_LINES, SNAPSHOTS_PREFIX
from lambdas.aws.clients import concurrently
from lambdas.aws.s3 import Store
from lambdas.stored.annotations import AnnotationStore
from lambdas.stored.tasks import task_keys

log = logging.getLogger(__name__)

MAX_ANCESTORS = 20
MAX_DATASETS = 10
"""Of either kind, that have something to ask."""
MAX_IMAGES = 300
"""Of one task in one dataset: so many tell a loss of 0.05 from none."""
MAX_READ = 3_000
"""Annotations of one dataset, a fair sample."""
NO_TASK = "the labels"
"""No task's name has a blank."""

Labels = dict[str, str]
"""Of an image, by the task's name here."""


@dataclass
class _Found:
    """`said` of images, by the name of the task in its dataset: labels by what they are to the model; `trained`: images
    that are in no such set.
    """

    said: dict[str, dict[str, dict[str, str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(dict)))
    trained: set[str] = field(default_factory=set)

    def add(self, name: str, image: str, label: str) -> None:
        self.said[name][image].setdefault(same_to_the_model(label), label)

    def sets(self) -> dict[str, Labels]:
        """The label of each image that has one alone, by the name of the task; the largest MAX_OLD_SETS."""
        clear = {
            name: {
                image: next(iter(labels.values()))
                for image, labels in images.items()
                if len(labels) == 1 and image not in self.trained
            }
            for name, images in self.said.items()
        }
        by_size = sorted(clear.items(), key=lambda each: (-len(each[1]), each[0]))
        return {name: images for name, images in by_size[:MAX_OLD_SETS] if images}


def asked_as(task: str | None, dataset: str) -> str:
    """What a task is called on a dataset's images: no other kind of old task has such a name."""
    return f"{task or NO_TASK} of {dataset}"


def lineage(find: Callable[[str], Model | None], version: str | None) -> list[Model]:
    """A version and those that it was fine-tuned from, the newest first, as far as `find` knows them."""
    found: list[Model] = []
    while version is not None and len(found) < MAX_ANCESTORS:
        try:
            model = find(version)
        except BadRequest:  # a checkpoint calls its base as it was called there, at a hub for instance
            break
        if model is None or model in found:
            break
        found.append(model)
        version = model.parent
    return found


def labelled_before(
    store: Store, ancestors: Sequence[Model], dataset: str, trained: Collection[str], until_s: float
) -> dict[str, Labels]:
    """Labels of images by their sha256; what there is none of is left out. `trained`: images that the new training
    learns from. Of each task in a dataset a sample by hash is taken: of the same images the same.

    When the monotonic clock says `until_s`, no further dataset is looked at. Before it is known of all `ancestors` what
    they were trained on, there is nothing.
    """
    found = _Found(trained={*trained})
    if not _from_snapshots(store, ancestors, dataset, found, until_s):
        log.warning("out of time: it is not known what the base was trained on, and nothing old is asked")
        return {}
    of_lineage = {model.dataset for model in ancestors if model.dataset is not None}
    _from_annotations(store, {dataset, *of_lineage}, found, until_s)
    chosen: dict[str, Labels] = defaultdict(dict)
    sets, left = found.sets(), MAX_OLD_IMAGES
    for place, (name, labels) in enumerate(reversed(sets.items())):  # what small ones leave is for the others
        sampled = sample(labels, min(MAX_IMAGES, left // (len(sets) - place)))
        left -= len(sampled)
        for image in sampled:
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


def _from_snapshots(store: Store, ancestors: Iterable[Model], dataset: str, found: _Found, until_s: float) -> bool:
    """Of each dataset the newest snapshot that is there counts. Whether all were read in time."""
    read, asked = {dataset}, set[str]()
    for model in ancestors:
        if model.training is None or model.dataset is None:
            continue
        counts = model.dataset not in read and len(asked) < MAX_DATASETS
        for line in store.lines(f"{SNAPSHOTS_PREFIX}{model.training}/{SNAPSHOT_LINES}"):
            if time.monotonic() >= until_s:
                return False
            read.add(model.dataset)
            said = json.loads(line.content)
            image = said["image"].rpartition("/")[2]
            if said["split"] == "train":
                found.trained.add(image)
            elif counts:
                for task, label in _labels(said).items():
                    found.add(asked_as(task or None, model.dataset), image, label)
                    asked.add(model.dataset)
    return True


def _labels(said: dict[str, Any]) -> Labels:
    """Of a snapshot's line; "" stands for no task."""
    return {**({"": said["label"]} if "label" in said else {}), **said.get("labels", {})}


def _from_annotations(store: Store, but_not: Collection[str], found: _Found, until_s: float) -> None:
    """What is said for saved tasks in any other dataset."""
    tasks = set(map(task_name, task_keys(store)))
    if not tasks:
        return
    asked = set[str]()
    for dataset in store.folders(ANNOTATIONS_PREFIX):
        if dataset in but_not:
            continue
        if time.monotonic() >= until_s:
            log.warning("out of time: what annotations say for saved tasks is looked at in part")
            break
        if len(asked) == MAX_DATASETS:
            break
        read, _ = AnnotationStore(store).some(dataset, MAX_READ, until_s)
        for each in read:
            if each.label is not None and each.task in tasks and each.image not in found.trained:
                found.add(asked_as(each.task, dataset), each.image, each.label)
                asked.add(dataset)
