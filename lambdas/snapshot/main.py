"""What a training learns from: a dataset's annotations at one moment, written down for good.

Files under snapshots/<training>/: `manifest.jsonl` has a line for each record as `model.data` reads it, and
`channel.manifest` names it and the images, so that they become the training job's channel where they lie. Where the
training has a reference set, `tasks.jsonl` has the saved tasks, and `reference.manifest` names it and the set's images,
which become another channel; and where something was labelled before, `old.jsonl` has that, and `old.manifest` names it
and its images.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from math import inf
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.annotations import Annotation, Split, image_key
from contract.hyperparameters import Hyperparameters
from contract.models import Model
from contract.problems import Conflict
from contract.reference import REFERENCE_TASKS
from contract.training_steps import SnapshotAnswer, SnapshotEvent
from contract.trainings import (
    CHANNEL_MANIFEST,
    OLD_CHANNEL,
    OLD_LINES,
    OLD_MANIFEST,
    REFERENCE_MANIFEST,
    SNAPSHOT_LINES,
    SNAPSHOTS_PREFIX,
    channel,
    channel_s3_uri,
)
from lambdas.aws.clients import connect_worker
from lambdas.aws.s3 import Store
from lambdas.settings import SnapshotSettings
from lambdas.stored.annotations import AnnotationStore
from lambdas.stored.datasets import hopeless, survey, unlearnable
from lambdas.stored.old import Labels, labelled_before, lineage, lines
from lambdas.stored.reference import sampled, task_lines, too_few
from lambdas.stored.registry import Registry

OLD_SHARE = 0.5
"""Of the function's time: when that is over, no more is looked for that was labelled before."""

logger = Logger(service="wordsight-snapshot", serialize_stacktrace=False)


def take_snapshot(
    store: Store,
    dataset: str,
    training: str,
    asked: Hyperparameters,
    *,
    force: bool = False,
    reference_s3_prefix: str | None = None,
    bases: Sequence[Model] = (),
    old_until_s: float = inf,
) -> SnapshotAnswer:
    """Write down what the dataset holds now, and what was labelled before; `bases`: the base with those that it was
    fine-tuned from, `old_until_s`: how long that is looked for, by the monotonic clock. Repeated for the same training,
    it replaces what was written. The answer's channels are those beside what the training job reads in any case.

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
        saved = list[str]()
        if tasks := task_lines(store):
            store.put_lines(f"{folder}{REFERENCE_TASKS}", tasks)
            saved = [f"{folder}{REFERENCE_TASKS}"]
        _put_channel(store, f"{folder}{REFERENCE_MANIFEST}", [*saved, *reference])
    manifest = store.put_lines(
        f"{folder}{SNAPSHOT_LINES}",
        (json.dumps(_line(store.bucket, each, splits[each.image]), ensure_ascii=False) for each in annotations),
    )
    _put_channel(store, f"{folder}{CHANNEL_MANIFEST}", [f"{folder}{SNAPSHOT_LINES}", *own])
    old: dict[str, Labels] = {}
    if asked.init == "base" and asked.data == "channel":  # else there is no base that could forget
        trained = {image for image, split in splits.items() if split == "train"}
        old = labelled_before(store, bases, dataset, trained, old_until_s)
    if old:
        store.put_lines(f"{folder}{OLD_LINES}", lines(store.bucket, old))
        _put_channel(store, f"{folder}{OLD_MANIFEST}", [f"{folder}{OLD_LINES}", *map(image_key, old)])
    return SnapshotAnswer(
        records=len(annotations),
        images=found.images,
        digest=hashlib.sha256(manifest).hexdigest(),
        reference_images=len(reference),
        old_images=len(old),
        channels=[channel(OLD_CHANNEL, channel_s3_uri(store.bucket, training, OLD_MANIFEST))] if old else [],
    )


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
    """Take the snapshot of the accepted `training` of a state machine's execution; the answer is its figures, and all
    that the training job reads.
    """
    began_s = time.monotonic()
    given, settings = SnapshotEvent.model_validate(event), SnapshotSettings.from_env()
    training = given.training
    asked = Hyperparameters.from_strings(training.hyperparameters)
    store = Store(settings.data_bucket, connect_worker)
    registry = Registry(Store(settings.artifacts_bucket, connect_worker))
    snapshot = take_snapshot(
        *(store, training.dataset, training.id, asked),
        force=training.force,
        reference_s3_prefix=training.reference_s3_prefix,
        bases=lineage(registry.find, training.base_version),
        old_until_s=began_s + OLD_SHARE * context.get_remaining_time_in_millis() / 1000,
    )
    answer = snapshot.model_copy(update={"channels": [*given.channels, *snapshot.channels]}).model_dump(mode="json")
    logger.info("snapshot", training=training.id, **answer)
    return answer
