"""Reference sets: a user's own images of which nothing is said. On them fine-tuning keeps what its base answers,
to a wide vocabulary and to saved tasks.
"""

import hashlib
from collections.abc import Iterable
from heapq import nsmallest

from contract.annotations import IMAGES_PREFIX
from contract.layouts.places import IMAGE_SUFFIXES, suffix_of
from contract.limits import MAX_TASKS
from contract.questions import Task, TaskName
from contract.sources import COLLECTIONS_PREFIX
from contract.validation import Stored

REFERENCE_PREFIXES = (COLLECTIONS_PREFIX, IMAGES_PREFIX)
"""Where in the data bucket the images may be. Not among uploads, which a day takes away: a training job that finds one
of its objects gone fails.
"""
MAX_REFERENCE_IMAGES = 1_000
"""A sample of so many is taken."""
MIN_REFERENCE_IMAGES = 30
"""With fewer, no interval is so narrow that anything could be published, even if all answers are kept."""
KEPT_BACK_SHARE = 1 / 3
MAX_KEPT_BACK_IMAGES = 300
REFERENCE_TASKS = "tasks.jsonl"
"""A file among the images, with a `ReferenceTask` in each line."""
MAX_REFERENCE_TASKS = MAX_TASKS
"""The first by name, as many as one request may ask."""
MAX_REFERENCE_PROMPTS = 2_000
"""Sentences of all of them together: each model that is measured reads them all."""


class ReferenceTask(Stored):
    """A saved task that a reference set's images are asked. It does not say what they show."""

    name: TaskName
    question: Task


def may_be_image(name: str) -> bool:
    """Whether a file, or an object of a bucket, may hold an image by its name; one without a suffix may."""
    return not name.endswith("/") and suffix_of(name) in ("", *IMAGE_SUFFIXES)


def sample(names: Iterable[str], most: int = MAX_REFERENCE_IMAGES) -> list[str]:
    """At most so many names, those whose sha256 is smallest: whatever their order, of the same names the same."""
    return nsmallest(most, names, key=_draw)


def kept_back(images: int) -> int:
    """How many of these are never trained on, so that what is measured on them is true of others, too."""
    share = round(images * KEPT_BACK_SHARE)
    return min(images, max(MIN_REFERENCE_IMAGES, share), MAX_KEPT_BACK_IMAGES)


def _draw(name: str) -> bytes:
    return hashlib.sha256(name.encode(errors="surrogateescape")).digest()
