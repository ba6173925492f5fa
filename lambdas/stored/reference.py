"""Reference sets: which of the images in the data bucket a training keeps its base's answers on, and to what."""

import json
from collections.abc import Collection, Iterator
from itertools import islice

from contract.problems import shorten
from contract.questions import task_name
from contract.reference import (
    MAX_REFERENCE_IMAGES,
    MAX_REFERENCE_TASKS,
    MIN_REFERENCE_IMAGES,
    may_be_image,
    sample,
)
from lambdas.aws.s3 import Store
from lambdas.stored.tasks import task_keys

MAX_LISTED_KEYS = 100_000
"""S3 lists some thousands in a second. Of a folder with more, the sample is of the first so many."""
MAX_COUNTED_KEYS = 10_000
"""While a caller waits."""


def sampled(store: Store, prefix: str, but_not: Collection[str]) -> list[str]:
    """The keys of a reference set, in their order: as many as it may have, the same of the same objects."""
    keys = (key for key in _keys(store, prefix, MAX_LISTED_KEYS) if key not in but_not)
    return sorted(sample(keys))


def task_lines(store: Store) -> list[str]:
    """The saved tasks of this moment, as the lines of REFERENCE_TASKS."""
    saved = store.read_all(list(islice(task_keys(store), MAX_REFERENCE_TASKS)))
    return [json.dumps({"name": task_name(each.key), "question": each.value}, ensure_ascii=False) for each in saved]


def counted(store: Store, prefix: str) -> int:
    """How many images a reference set would have, as far as their names tell."""
    return sum(1 for _ in islice(_keys(store, prefix, MAX_COUNTED_KEYS), MAX_REFERENCE_IMAGES))


def too_few(prefix: str, images: int) -> list[str]:
    """Why no training can begin with a reference set of so many images; most often nothing."""
    if images >= MIN_REFERENCE_IMAGES:
        return []
    return [
        f"under {shorten(prefix)!r} there are {images} images that the dataset does not have, and a reference set "
        f"needs {MIN_REFERENCE_IMAGES} at least: put more there, name another prefix, or leave reference_s3_prefix out"
    ]


def _keys(store: Store, prefix: str, most: int) -> Iterator[str]:
    return (key for key in islice(store.keys(prefix), most) if may_be_image(key))
