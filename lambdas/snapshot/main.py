"""What a training learns from: a dataset's annotations at one moment, written down for good.

Two files under snapshots/<training>/: `manifest.jsonl` has a line for each record as `model.data` reads it, and
`channel.manifest` names it and the images, so that they become the training job's channel where they lie.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.annotations import Annotation, Split, image_key
from contract.hyperparameters import Hyperparameters
from contract.problems import Conflict
from contract.steps import SnapshotEvent
from contract.trainings import CHANNEL_MANIFEST, SNAPSHOTS_PREFIX
from lambdas.aws.clients import connect_worker
from lambdas.aws.s3 import Store
from lambdas.settings import SnapshotSettings
from lambdas.stored.annotations import AnnotationStore
from lambdas.stored.datasets import hopeless, survey, unlearnable

MANIFEST = "manifest.jsonl"

logger = Logger(service="wordsight-snapshot", serialize_stacktrace=False)


@dataclass(frozen=True)
class Snapshot:
    """`digest`: sha256 of the manifest. `images`: how many there are in each split."""

    records: int
    images: dict[str, int]
    digest: str


def take_snapshot(
    store: Store, dataset: str, training: str, asked: Hyperparameters, *, force: bool = False
) -> Snapshot:
    """Write down what the dataset holds now. Repeated for the same training, it replaces what was written.

    Raises Conflict for a dataset from which nothing can be learnt, and without `force` for one that is too small for
    the gate: the API has looked at a part of a large one only, and it may have changed since.
    """
    annotations = AnnotationStore(store).all(dataset)
    found = survey(dataset, annotations, asked.validation_share)
    if missing := unlearnable(found) or ([] if force else hopeless(found, asked)):
        raise Conflict("; ".join(missing))
    splits = found.splits
    folder = f"{SNAPSHOTS_PREFIX}{training}/"
    manifest = store.put_lines(
        f"{folder}{MANIFEST}",
        (json.dumps(_line(store.bucket, each, splits[each.image]), ensure_ascii=False) for each in annotations),
    )
    channel = [{"prefix": f"s3://{store.bucket}/"}, f"{folder}{MANIFEST}", *map(image_key, splits)]
    store.put(f"{folder}{CHANNEL_MANIFEST}", json.dumps(channel).encode(), "application/json")
    return Snapshot(len(annotations), found.images, hashlib.sha256(manifest).hexdigest())


def _line(bucket: str, annotation: Annotation, split: Split) -> dict[str, Any]:
    image = f"s3://{bucket}/{image_key(annotation.image)}"
    line: dict[str, Any] = {"image": image, "split": split, "id": annotation.id}
    if annotation.sentences:
        line["captions"] = annotation.sentences
    if annotation.label is not None and annotation.task is None:
        line["label"] = annotation.label
    elif annotation.label is not None:
        line["labels"] = {annotation.task: annotation.label}
    return line


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take the snapshot of the accepted `training` of a state machine's execution; the answer is its figures."""
    training = SnapshotEvent.model_validate(event).training
    asked = Hyperparameters.from_strings(training.hyperparameters)
    store = Store(SnapshotSettings.from_env().data_bucket, connect_worker)
    snapshot = take_snapshot(store, training.dataset, training.id, asked, force=training.force)
    logger.info("snapshot", training=training.id, records=snapshot.records, images=snapshot.images)
    return asdict(snapshot)
