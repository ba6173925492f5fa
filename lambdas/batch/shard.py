"""Classifies one shard of a batch: reads its images, asks the endpoint, and writes down what came of each.

The files are written when everything is known, under names that only this shard has, and the one that says so comes
last. So a worker that is killed leaves nothing that counts, and the next one does the shard again from its beginning.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
from contract.limits import MAX_IMAGES, MAX_SCORES
from contract.problems import (
    BadRequest,
    Problem,
    ProblemError,
)
from contract.questions import Parameters
from contract.requests import ClassifyRequest, ImageSource, S3Object
from contract.validation import validate
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import attributes_within, infer_taught, invocation_chunks
from lambdas.aws.patience import Patience
from lambdas.aws.s3 import Store
from lambdas.stored.images import read_each_image
from lambdas.stored.tasks import head_reader, shas_of

Chunk = Sequence[tuple[ShardItem, bytes | ProblemError]]
Outcome = BatchResult | BatchProblem
Answered = tuple[Any, AnswerAttributes]
"""Of one image, and what the container says beside it."""


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
        patience = Patience(
            partial(self._infer, asked=asked), _status_of, _as_answer, left_ms=self.left_ms, pause=self.pause
        )
        outcomes = [
            outcome
            for chunk in invocation_chunks(zip(found.items, images, strict=True), max_bytes, images_at_once)
            for outcome in _classify(chunk, patience)
        ]
        return self._write(batch.id, shard, outcomes)

    def _infer(self, images: Sequence[bytes], asked: _Asked) -> Sequence[Answered]:
        request = ClassifyRequest(list(images), asked.parameters, listed=True, heads=shas_of(asked.head_keys))
        read_head = head_reader(self.store, asked.head_keys.values())
        within = attributes_within(f"batch {asked.id}")
        answers, beside = infer_taught(request, images, self.endpoint, within, read_head)
        return [(answer, beside) for answer in answers]

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


def _classify(chunk: Chunk, patience: Patience[Answered]) -> Iterator[Outcome]:
    """What came of each image."""
    answered = iter(patience.answers([image for _, image in chunk if isinstance(image, bytes)]))
    for item, image in chunk:
        yield _outcome(item, *(_as_answer(image) if isinstance(image, ProblemError) else next(answered)))


def _as_answer(problem: ProblemError) -> Answered:
    return problem.body(), AnswerAttributes()


def _status_of(answered: Answered) -> int:
    answer, _ = answered
    return answer["status"] if _is_problem(answer) else 0


def _is_problem(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("status"), int)  # by task, every member is a list


def _outcome(item: ShardItem, answer: Any, beside: AnswerAttributes) -> Outcome:
    if _is_problem(answer):
        return BatchProblem(place=item.place, name=item.name, problem=Problem.model_validate(answer))
    return BatchResult(s3_key=item.place, name=item.name, model_version=beside.model_version, answer=answer)
