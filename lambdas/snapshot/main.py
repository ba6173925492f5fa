"""What a training learns from: a dataset's annotations at one moment, written down for good.

Files under snapshots/<training>/: `manifest.jsonl` has a line for each record as `model.data` reads it, and
`channel.manifest` names it and the images, so that they become the training job's channel where they lie. Where the
training has a reference set, `reference.manifest` names its images, which become another channel.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.annotations import Annotation, Split, image_key
from contract.hyperparameters import Hyperparameters
from contract.problems import Conflict
from contract.training_steps import SnapshotEvent
from contract.trainings import CHANNEL_MANIFEST, REFERENCE_MANIFEST, SNAPSHOTS_PREFIX
from lambdas.aws.clients import connect_worker
from lambdas.aws.s3 import Store
from lambdas.settings import SnapshotSettings
from lambdas.stored.annotations import AnnotationStore
from lambdas.stored.datasets import hopeless, survey, unlearnable
from lambdas.stored.reference import sampled, too_few

MANIFEST = "manifest.jsonl"

logger = Logger(service="wordsight-snapshot", serialize_stacktrace=False)


@dataclass(frozen=True)
class Snapshot:
    """`digest`: sha256 of the manifest. `images`: how many there are in each split. `reference_images`: how many beside
    these.
    """

    records: int
    images: dict[str, int]
    digest: str
    reference_images: int = 0


def take_snapshot(
    store: Store,
    dataset: str,
    training: str,
    asked: Hyperparameters,
    *,
    force: bool = False,
    reference_s3_prefix: str | None = None,
) -> Snapshot:
    """Write down what the dataset holds now. Repeated for the same training, it replaces what was written.

    Raises Conflict for a dataset from which nothing can be learnt, without `force` for one that is too small for the
    gate, and for a reference set that is too small: the API has looked at a part of a large one only, and it may have
    changed since.
    """
    annotations = AnnotationStore(store).all(dataset)
    found = survey(dataset, annotations, asked.validation_share)
    if missing := unlearnable(found) or ([] if force else hopeless(found, asked)):
        raise Conflict("; ".join(missing))
    splits = found.splits
    folder = f"{SNAPSHOTS_PREFIX}{training}/"
    own = [*map(image_key, splits)]
    reference = list[str]()
    if reference_s3_prefix is not None:
        reference = sampled(store, reference_s3_prefix, frozenset(own))
        if missing := too_few(reference_s3_prefix, len(reference)):
            raise Conflict("; ".join(missing))
        _put_channel(store, f"{folder}{REFERENCE_MANIFEST}", reference)
    manifest = store.put_lines(
        f"{folder}{MANIFEST}",
        (json.dumps(_line(store.bucket, each, splits[each.image]), ensure_ascii=False) for each in annotations),
    )
    _put_channel(store, f"{folder}{CHANNEL_MANIFEST}", [f"{folder}{MANIFEST}", *own])
    return Snapshot(len(annotations), found.images, hashlib.sha256(manifest).hexdigest(), len(reference))


def _put_channel(store: Store, key: str, names: Sequence[str]) -> None:
    """Objects of the bucket as SageMaker's ManifestFile.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
    """
    store.put(key, json.dumps([{"prefix": f"s3://{store.bucket}/"}, *names]).encode(), "application/json")


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
    snapshot = take_snapshot(
        *(store, training.dataset, training.id, asked),
        force=training.force,
        reference_s3_prefix=training.reference_s3_prefix,
    )
    logger.info("snapshot", training=training.id, **asdict(snapshot))
    return asdict(snapshot)
