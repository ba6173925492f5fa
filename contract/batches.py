"""Batches: many stored images, all asked the same, with the answers in the data bucket.

Under `batches/<id>/` there are: `batch.json`, what was asked; `plan.json`, how far the images are listed; a file of
`shards/` per SHARD_IMAGES of them; for each shard that was classified one of `results/` and one of `problems/`, as JSON
lines; and, written last, one of `done/`, whose name alone tells what came of the shard. `heads/` has those that answer.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from contract.deferred import Deferred
from contract.idempotency import ID
from contract.problems import BadRequest, Problem, shorten
from contract.questions import Parameters, TaskOrTasks
from contract.sources import COLLECTIONS_PREFIX, check_source
from contract.validation import S3Key, Stored, Strict

BATCHES_PREFIX = "batches/"
"""Where in the data bucket they are: one folder each."""

LINE = '{"s3_key": "collections/1.jpg", "name": "welds/1.jpg"}'
"""Of a manifest."""

SHARD_IMAGES = 500
"""What one worker classifies: few enough for its 15 minutes even where the model answers one image per second."""
MAX_BATCH_IMAGES = 10_000_000
"""So that the numbers of all shards fit into one state's input, which Step Functions limits to 256 KiB."""
FILES_EXPIRE_IN_S = 900
MAX_NAME_CHARS = 1_024
"""Of what a manifest calls an image; what is longer is cut."""

_SHARD_DIGITS = 6
_DONE = re.compile(rf"(\d{{{_SHARD_DIGITS}}})-(\d+)-(\d+)")


class BatchBody(Strict):
    """The JSON body of POST /batches: where the images are, and what is asked of each."""

    s3_prefix: S3Key | None = Field(default=None, description="Every object whose key begins with it")
    s3_key: S3Key | None = Field(
        default=None,
        description=f"JSON lines such as {LINE}; a name stands beside the answer, too",
    )
    task: TaskOrTasks = Field(
        default=None, description="A saved task by its name, or a list of them, instead of parameters"
    )
    parameters: Parameters | None = Field(default=None, description="As in POST /classify")

    EXAMPLES: ClassVar = {
        "prefix: All images whose keys begin alike, asked a saved task": {
            "s3_prefix": f"{COLLECTIONS_PREFIX}welds/",
            "task": "defect",
        },
        "manifest: The images that a file of JSON lines names": {
            "s3_key": f"{COLLECTIONS_PREFIX}welds.jsonl",
            "parameters": {"candidate_labels": ["crack", "pore", "sound"], "top_k": 1},
        },
    }

    @model_validator(mode="after")
    def _one_source_and_one_question(self) -> Self:
        sources = [each for each in (self.s3_key, self.s3_prefix) if each is not None]
        if len(sources) != 1:
            raise ValueError(f"{len(sources)} of s3_key and s3_prefix are given: give one of them")
        check_source(sources[0])
        if (self.task is None) == (self.parameters is None):
            raise ValueError('give one of task, such as "animal", and parameters, such as {"candidate_labels": […]}')
        return self

    @property
    def question(self) -> Parameters:
        """What is asked of each image; saved tasks are only named in it."""
        return self.parameters or Parameters(task=self.task)


class Batch(Stored):
    """An accepted request, as it is stored. `attempt` counts how often it was begun, the last time when `begun` says.

    `parameters` have the saved tasks as they were when the batch was accepted, and `head_keys` by question the batch's
    own copies of the heads that answered them then: all images are asked the same.
    """

    id: str
    created: str
    begun: str
    attempt: int = 1
    s3_prefix: str | None = None
    s3_key: str | None = None
    parameters: dict[str, Any]
    head_keys: dict[str, str] = Field(default={})

    @property
    def execution(self) -> str:
        """The name of the state machine's execution that is at work on it."""
        return f"{self.id}-{self.attempt}"


class Plan(Stored):
    """How far the images of a batch are listed: in `shards` shards so far, up to a key or a line of the manifest."""

    images: int = 0
    shards: int = 0
    after: str = ""
    line: int = 0
    offset_bytes: int = 0
    complete: bool = False


class ShardItem(Stored):
    """One image of a shard by its key, or a manifest's line that names none, and why."""

    place: str
    name: str | None = None
    problem: str | None = None


class Shard(Stored):
    """What one worker has to do."""

    items: list[ShardItem]


class Done(NamedTuple):
    """What came of a shard: how many images were answered, and how many have a problem instead."""

    results: int
    problems: int


class BatchResult(Deferred):
    """A line of results/: the answer of POST /classify about one image, and which model gave it."""

    s3_key: str
    name: str | None = Field(default=None, description="What the manifest calls it")
    model_version: str
    answer: Any


class BatchProblem(Deferred):
    """A line of problems/: an image that could not be classified, or a manifest's line, and why."""

    place: str
    name: str | None = Field(default=None, description="What the manifest calls it")
    problem: Problem


class Failure(Deferred):
    """Why an attempt could not go on."""

    attempt: int
    reason: str


BatchState = Literal["planning", "running", "done", "failed", "stopped"]
RESUMABLE: tuple[BatchState, ...] = ("failed", "stopped")


class BatchView(Deferred):
    """How far a batch is."""

    id: str
    created: str
    state: BatchState
    reason: str | None = Field(description="Why it failed")
    s3_prefix: str | None
    s3_key: str | None
    images: int | None = Field(description="So many there are; null until all are listed")
    done_images: int = Field(description="So many have an answer or a problem")
    results: int = Field(description="So many have an answer")
    problems: int = Field(description="So many have a problem instead")
    shards: int | None = Field(description="Parts of the work, each done at once or not at all")
    done_shards: int
    results_s3_prefix: str = Field(description="Where in the data bucket the answers are, as JSON lines")
    problems_s3_prefix: str = Field(description="Where the problems are")


class BatchFiles(Deferred):
    """The answer of GET /batches/{batch}/files: addresses from which the lines of some shards can be had, in order."""

    results: list[str] = Field(description="JSON lines, each the answer about one image")
    problems: list[str] = Field(description="JSON lines, each the problem of one image")
    expires_in_s: int = Field(description="So long they can be had from there")
    next: str | None = Field(description="What to send as `after`; null at the end")


class BatchList(Deferred):
    """The answer of GET /batches, the newest first."""

    batches: list[BatchView]
    next: str | None = Field(description="What to send as `after`; null at the end")


def batch_prefix(id: str) -> str:
    """Where in the data bucket everything of a batch is. Raises BadRequest for what is no batch's id."""
    if not ID.fullmatch(id):
        raise BadRequest(f"the batch's id is {shorten(id)!r}, allowed: one that POST /batches has answered")
    return f"{BATCHES_PREFIX}{id}/"


def _of_batch(name: str) -> Callable[[str], str]:
    """From a batch's id to where its file or folder of this name is."""
    return lambda id: batch_prefix(id) + name


batch_key, plan_key, failure_key = map(_of_batch, ("batch.json", "plan.json", "failure.json"))
results_prefix, problems_prefix, done_prefix = map(_of_batch, ("results/", "problems/", "done/"))


def batch_head_key(id: str, sha256: str) -> str:
    """Where a batch's own copy of a head is."""
    return f"{batch_prefix(id)}heads/{sha256}.safetensors"


def shard_key(id: str, shard: int) -> str:
    return f"{batch_prefix(id)}shards/{shard:0{_SHARD_DIGITS}}.json"


def lines_key(prefix: str, shard: int) -> str:
    """The file of a shard under `results_prefix` or `problems_prefix`."""
    return f"{prefix}{shard:0{_SHARD_DIGITS}}.jsonl"


def done_key(id: str, shard: int, done: Done) -> str:
    """Tells by its name alone what came of a shard, so that listing the keys is counting."""
    return f"{done_prefix(id)}{shard:0{_SHARD_DIGITS}}-{done.results}-{done.problems}"


def done_shards(keys: Iterable[str]) -> dict[int, Done]:
    """What came of the shards whose `done_key` is among `keys`."""
    found = (_DONE.fullmatch(key.rpartition("/")[2]) for key in keys)
    return {int(each[1]): Done(int(each[2]), int(each[3])) for each in found if each}


def shard_number(after: str) -> int:
    """The shard behind which a page of files begins, -1 for the first page. Raises BadRequest."""
    if not after:
        return -1
    if not re.fullmatch(rf"[0-9]{{1,{_SHARD_DIGITS}}}", after):
        raise BadRequest(f"after is {shorten(after)!r}, allowed: what the page before answered as `next`")
    return int(after)
