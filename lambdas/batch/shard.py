"""Classifies one shard of a batch: reads its images, asks the endpoint, and writes down what came of each.

The files are written when everything is known, under names that only this shard has, and the one that says so comes
last. So a worker that is killed leaves nothing that counts, and the next one does the shard again from its beginning.
"""

import base64
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.batches import (
    Batch,
    BatchProblem,
    BatchResult,
    Done,
    Shard,
    ShardItem,
    done_key,
    lines_key,
    problems_prefix,
    results_prefix,
    shard_key,
)
from contract.invocation import AnswerAttributes
from contract.limits import MAX_IMAGES, MAX_SCORES, SDK_CONNECT_TIMEOUT_S, SDK_READ_TIMEOUT_S
from contract.problems import (
    BadGateway,
    BadRequest,
    GatewayTimeout,
    PayloadTooLarge,
    Problem,
    ProblemError,
    ServiceUnavailable,
)
from contract.questions import Parameters
from contract.requests import EXAMPLE_IMAGE_BASE64, ClassifyRequest, ImageSource, S3Object
from contract.validation import validate
from lambdas.aws.container import ModelStopped
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import attributes_within, infer_taught, invocation_chunks
from lambdas.aws.s3 import Store
from lambdas.stored.images import read_each_image
from lambdas.stored.tasks import head_reader, shas_of

RESERVE_MS = 1000 * (SDK_CONNECT_TIMEOUT_S + SDK_READ_TIMEOUT_S) + 10_000
"""What one more invocation and writing the files may take: nothing is tried again with less time left."""
MAX_PAUSE_S = 30
_OF_SOME_IMAGE = (BadGateway, GatewayTimeout, PayloadTooLarge)
"""What a single image may be the reason for, such as one whose decoding takes all of the container's memory."""

Chunk = Sequence[tuple[ShardItem, bytes | ProblemError]]
Outcome = BatchResult | BatchProblem
Answered = tuple[list[Any], AnswerAttributes]


@dataclass(frozen=True)
class _Asked:
    """What a batch asks of each image, and where the heads are that answer it."""

    id: str
    parameters: Parameters
    head_keys: Mapping[str, str]


@dataclass(frozen=True)
class ShardWorker:
    """What shards need: the data bucket, the endpoint, how much time is left, and a way to wait, in seconds."""

    store: Store
    endpoint: Endpoint
    left_ms: Callable[[], int]
    pause: Callable[[float], None] = time.sleep

    def work(self, batch: Batch, shard: int) -> Done:
        """Classify a shard and write down what came of it.

        Raises ServiceUnavailable or what else the endpoint says if it can't answer, with nothing written.
        """
        asked = _Asked(batch.id, validate(Parameters, batch.parameters), batch.head_keys)
        found = self.store.find(Shard, shard_key(batch.id, shard))
        if found is None:
            raise BadRequest(f"the batch {batch.id} has no shard {shard}")
        sources = map(_source, found.items)
        max_bytes = self.endpoint.max_image_bytes
        images = read_each_image(sources, self.store, max_bytes)
        scores = sum(question.answered_labels for question in asked.parameters.questions.values())
        images_at_once = max(1, min(MAX_IMAGES, MAX_SCORES // scores))  # as many as one answer has scores for
        outcomes = [
            outcome
            for chunk in invocation_chunks(zip(found.items, images, strict=True), max_bytes, images_at_once)
            for outcome in self._classify(chunk, asked)
        ]
        faults = [each.problem for each in outcomes if isinstance(each, BatchProblem) and each.problem.status >= 500]
        if outcomes and len(faults) == len(outcomes):
            self._check_endpoint(asked, faults[0].detail)
        return self._write(batch.id, shard, outcomes)

    def _classify(self, chunk: Chunk, asked: _Asked) -> list[Outcome]:
        """What came of each image. A chunk at which the endpoint fails is cut in two, down to the image at fault."""
        try:
            answers, beside = self._ask(chunk, asked)
        except (*_OF_SOME_IMAGE, ModelStopped) as problem:
            if len(chunk) > 1:
                middle = len(chunk) // 2
                halves = (chunk[:middle], chunk[middle:])
                return [outcome for half in halves for outcome in self._classify(half, asked)]
            answers, beside = [problem.body()], AnswerAttributes()
        return [_outcome(item, answer, beside) for (item, _), answer in zip(chunk, answers, strict=True)]

    def _ask(self, chunk: Chunk, asked: _Asked) -> Answered:
        """The endpoint's answers. While it is overloaded or away, it is waited for as long as there is time."""
        images = [image for _, image in chunk]

        def ask() -> Answered:
            return self._infer(images, asked)

        try:
            return self._patiently(ask)
        except ModelStopped:  # at what others asked, perhaps: again, as soon as it lives
            self._patiently(lambda: self._ask_example(asked), while_stopped=True)
            return self._patiently(ask)

    def _ask_example(self, asked: _Asked) -> Answered:
        """The same question of an image that is known to be good."""
        return self._infer([base64.b64decode(EXAMPLE_IMAGE_BASE64)], asked)

    def _infer(self, images: Sequence[bytes | ProblemError], asked: _Asked) -> Answered:
        request = ClassifyRequest(list(images), asked.parameters, listed=True, heads=shas_of(asked.head_keys))
        read_head = head_reader(self.store, asked.head_keys.values())
        return infer_taught(request, images, self.endpoint, attributes_within(f"batch {asked.id}"), read_head)

    def _check_endpoint(self, asked: _Asked, detail: str) -> None:
        """Raises BadGateway if the endpoint is broken, and no image."""
        try:
            answers, _ = self._patiently(lambda: self._ask_example(asked), while_stopped=True)
            healthy = not _is_problem(answers[0])
        except _OF_SOME_IMAGE:
            healthy = False
        if not healthy:
            raise BadGateway(f"the endpoint failed at every image of a shard: {detail}")

    def _patiently(self, ask: Callable[[], Answered], *, while_stopped: bool = False) -> Answered:
        attempt = 0
        while True:
            try:
                return ask()
            except ServiceUnavailable as problem:
                if isinstance(problem, ModelStopped) and not while_stopped:
                    raise
                attempt += 1
                pause_s = min(max(problem.retry_after_s or 0, 2**attempt), MAX_PAUSE_S)
                if self.left_ms() < RESERVE_MS + 2000 * pause_s:
                    raise
                self.pause(pause_s * random.uniform(1, 2))  # noqa: S311, so that not all workers come back at once

    def _write(self, id: str, shard: int, outcomes: Sequence[Outcome]) -> Done:
        results = [each for each in outcomes if isinstance(each, BatchResult)]
        problems = [each for each in outcomes if isinstance(each, BatchProblem)]
        for prefix, lines in ((results_prefix(id), results), (problems_prefix(id), problems)):
            self.store.put_lines(lines_key(prefix, shard), (each.model_dump_json(exclude_none=True) for each in lines))
        done = Done(len(results), len(problems))
        self.store.put(done_key(id, shard, done), b"", "application/octet-stream")
        return done


def _source(item: ShardItem) -> ImageSource:
    # not checked as a request's key is: a batch reads from other places, too, and the plan has looked at it
    return BadRequest(item.problem) if item.problem else S3Object.model_construct(s3_key=item.place)


def _is_problem(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("status"), int)  # by task, every member is a list


def _outcome(item: ShardItem, answer: Any, beside: AnswerAttributes) -> Outcome:
    if _is_problem(answer):
        return BatchProblem(place=item.place, name=item.name, problem=Problem.model_validate(answer))
    return BatchResult(s3_key=item.place, name=item.name, model_version=beside.model_version, answer=answer)
