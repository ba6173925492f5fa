"""What a saved task has learnt from annotated images: how it is told and kept, and where in the data bucket."""

import hashlib
import re
from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from contract.annotations import Split
from contract.invocation import HEAD_DIGITS
from contract.questions import Task, task_key, task_name
from contract.teaching import Sha256, Worth
from contract.validation import Stored, Strict

EMBEDDINGS_PREFIX = "embeddings/"
"""Where images' vectors are: a folder for each version of the model, and in it each under the sha256 of its image."""
HEADS_PREFIX = "heads/"
"""Where heads are: a folder for each task, and in it each head under its sha256, beside what it was made of."""
TAUGHT_PREFIX = "taught/"
"""Where it is kept what a task has learnt: one JSON document each."""

KEPT_HEADS = 20
"""Of one task: so many of the newest can be brought back."""
SHOWN_DOUBTFUL = 20
SHOWN_LABELS = 5
"""In a sentence."""

WORDS = "words"
"""Stands in a version for a task that was answered by its words alone."""

_NOT_IN_A_FOLDER = re.compile(r"[^A-Za-z0-9@._-]")
_READABLE_CHARS = 100


class Head(Stored):
    """A head that was live, or could have been."""

    sha256: Sha256 = Field(description="Names it, for POST /tasks/{task}/teach")
    model_version: str = Field(description="The version of the model that it belongs to: with another, words answer")
    created: str
    images: int = Field(description="How many images it was made of")
    before: Worth = Field(description="What the words alone are worth on these images")
    after: Worth = Field(description="What it is worth on them, each answered as if it had not been shown")
    gain: float = Field(description="By how much its log-likelihood exceeds that of the words, in nats per image")


class Doubtful(Stored):
    """An annotation whose label is likely to be wrong."""

    id: str
    dataset: str
    image: Sha256 = Field(description="sha256 of the image's file")
    label: str = Field(description="What was said")
    answer: str = Field(description="What it is taken for")
    split: Split | None = Field(default=None, description="What was said that it is for")
    doubt: float = Field(description="How likely the label is wrong, between 0 and 1")


class Progress(Stored):
    """How many of the images that have no vector of this version of the model have one by now."""

    done: int = Field(description="So many are done")
    of: int = Field(description="So many there are")


class Learnt(Stored):
    """What came of the annotations that were looked at last."""

    updated: str
    model_version: str
    images: dict[str, int] = Field(description="By label: how many images teach it")
    left_out: int = Field(default=0, description="Images that could teach it, and are more than are taught at once")
    before: Worth | None = Field(default=None, description="What the words alone are worth on the annotated images")
    after: Worth | None = Field(
        default=None, description="What the head is worth on them, each answered as if it had not been shown"
    )
    gain: float | None = Field(
        default=None,
        description="By how much the head's log-likelihood exceeds that of the words, in nats per image. Only a head "
        "that gains goes live",
    )
    reason: str | None = Field(default=None, description="Why no head came of it, and what would help")
    advice: list[str] = Field(default=[], description="What would make it better, one sentence each")
    doubtful: list[Doubtful] = Field(default=[], description="The annotations that are likeliest wrong, worst first")


class Teaching(Stored):
    """A task's document under `taught/`. `head` is the one that answers; `heads` are the newest first.

    `busy_until_epoch_s`: until then a worker is at it, and no other begins. `asked` counts POST /tasks/{task}/teach,
    and `answered` is the last of them that was looked at. `erased` counts erased images: what was read before one must
    not be kept. `digest` is of all that was looked at. `restored`: an earlier head was brought back, and stays until
    the annotations change.
    """

    head: Sha256 | None = None
    heads: list[Head] = Field(default=[])
    learnt: Learnt | None = None
    paused: bool = False
    restored: bool = False
    busy_until_epoch_s: int = 0
    progress: Progress | None = None
    asked: int = 0
    answered: int = 0
    erased: int = 0
    digest: str = ""


class Taught(Stored):
    """What a task has learnt from annotated images, and whether it answers by that."""

    state: Literal["live", "words", "paused"] = Field(
        description="live: a head answers; words: none is good enough yet; paused: DELETE has brought back the words"
    )
    teaching: bool = Field(description="Whether annotations are being looked at")
    progress: Progress | None = Field(description="How far that is, if images are looked at anew; else null")
    head: Sha256 | None = Field(description="The head that answers; null for the words")
    learnt: Learnt | None = Field(description="What came of the annotations that were looked at last")
    heads: list[Head] = Field(description="The newest that were made, which can be brought back")


class TaskView(Task):
    """A saved task, and what it has learnt: GET tells it, and it may be put back with the rest, but it can't be set."""

    taught: Taught | None = Field(default=None, description="null until annotations were looked at")


class TeachTaskBody(Strict):
    """The body of POST /tasks/{task}/teach."""

    head: Sha256 | None = Field(default=None, description="Bring back this earlier head, until the annotations change")

    EXAMPLES: ClassVar = {"now: Look at the annotations now": {}}


class HeadImages(Stored):
    """What a head was made of, kept beside it: the ids of annotations, which begin with a hash of their image."""

    annotations: list[str]


def taught_of(teaching: Teaching | None, now_epoch_s: float) -> Taught | None:
    """A task's document as its readers see it; None where nothing was ever looked at."""
    if teaching is None:
        return None
    return Taught(
        state="paused" if teaching.paused else "live" if teaching.head else "words",
        teaching=teaching.busy_until_epoch_s > now_epoch_s or teaching.answered < teaching.asked,
        progress=teaching.progress,
        head=teaching.head,
        learnt=teaching.learnt,
        heads=teaching.heads,
    )


def taught_key(task: str) -> str:
    """Where a task's Teaching is. Raises BadRequest for a name that no task may have."""
    return f"{TAUGHT_PREFIX}{task_name(task_key(task))}.json"


def task_of_taught(key: str) -> str:
    """The name of the task whose Teaching is at a key."""
    return key.removeprefix(TAUGHT_PREFIX).removesuffix(".json")


def heads_prefix(task: str) -> str:
    """What the keys of a task's heads begin with."""
    return f"{HEADS_PREFIX}{task}/"


def head_key(task: str, sha256: str) -> str:
    """Where a task's head is."""
    return f"{heads_prefix(task)}{sha256}.safetensors"


def head_images_key(task: str, sha256: str) -> str:
    """Where it is kept what a head was made of."""
    return f"{heads_prefix(task)}{sha256}.json"


def head_of_key(key: str) -> str:
    """The sha256 of the head at a key, or of that whose HeadImages are there."""
    return key.rpartition("/")[2].partition(".")[0]


def embedding_key(model_version: str, image: str) -> str:
    """Where the vector of an image by a version of the model is."""
    return f"{EMBEDDINGS_PREFIX}{version_folder(model_version)}/{image}"


def version_folder(model_version: str) -> str:
    """A version of the model as one segment of a key: names of a hub have slashes."""
    readable = _NOT_IN_A_FOLDER.sub("_", model_version)[:_READABLE_CHARS]
    return f"{readable}-{hashlib.sha256(model_version.encode()).hexdigest()[:HEAD_DIGITS]}"


def task_versions(used: Iterable[tuple[str, str | None, str]]) -> str:
    """The x-task-version header, of (task, sha256 of the head that answered or None, etag of its words)."""
    return ", ".join(
        f"{task}={head[:HEAD_DIGITS] if head else f'{WORDS}-{etag[:HEAD_DIGITS]}'}" for task, head, etag in used
    )
