"""Teaches saved tasks what annotated images say of their labels: within seconds after a change, without a training.

Whoever changes annotations or a task lets `handler` begin and does not wait for it. One worker at a time is at a task.
Who finds another one at work ends: that one looks again, after it has let the task go, whether something has changed.
A worker that is killed leaves nothing that counts, and keeps others away for LEASE_S at most.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeVar

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.endpoint import Paused
from contract.problems import ProblemError, ServiceUnavailable
from contract.questions import task_key, task_name
from contract.steps import TeachEvent
from contract.taught import Progress
from contract.texts import same_to_the_model
from lambdas.aws.clients import Connect, connect_worker
from lambdas.aws.executions import STEP_MS
from lambdas.aws.inference import attributes_within, inspect, teach
from lambdas.aws.s3 import JsonObject, Store
from lambdas.settings import TeachSettings
from lambdas.stored.annotations import AnnotationStore
from lambdas.stored.endpoint import endpoint_of
from lambdas.stored.tasks import task_keys
from lambdas.stored.teachings import Teachings
from lambdas.teach.examples import READ_ANNOTATIONS, Annotations
from lambdas.teach.lesson import ErasedMeanwhile, Looked, Pupil
from lambdas.teach.vectors import Vectors

logger = Logger(service="wordsight-teach", serialize_stacktrace=False)

DEBOUNCE_S = 0.5
"""Changes seldom come alone: those that come within it are one lesson."""
BEAT_S = 20
"""How often a worker says that it lives."""
BUSY_ATTEMPTS = 6
MAX_PAUSE_S = 10
"""A busy endpoint is asked so often, this far apart at most, before Lambda begins anew, which takes it a minute."""

Answer = TypeVar("Answer")


class Seen(NamedTuple):
    """All that a lesson depends on: as long as it is the same, there is nothing to learn."""

    task: str
    """Its etag."""
    annotations: tuple[tuple[str, str], ...]
    """Their keys and etags."""
    model_version: str
    asked: int


class Teacher:
    """Teaches the tasks of one stage. A process keeps it, and with it what it has read."""

    def __init__(self, settings: TeachSettings, connect: Connect, pause: Callable[[float], None] = time.sleep) -> None:
        self._store = Store(settings.data_bucket, connect)
        self._endpoint = endpoint_of(settings.endpoint_name, self._store, connect)
        self._teachings = Teachings(self._store)
        self._annotation_store = AnnotationStore(self._store)
        self._annotations = Annotations(self._annotation_store)
        self._vectors = Vectors(
            self._store,
            lambda images: self._patiently(lambda: inspect(images, self._endpoint, attributes_within("teach"))),
            self._endpoint.max_image_bytes,
        )
        self._pause = pause

    def teach(self, event: TeachEvent, left_ms: Callable[[], int]) -> None:
        """Teach the tasks that are meant, each of them whatever becomes of the others.

        Raises the first problem, such as ServiceUnavailable if there is more to do than there is time for.
        """
        problems: list[ProblemError] = []
        for number, task in enumerate(self._meant(event)):
            try:
                self._teach(task, 0 if number else DEBOUNCE_S, left_ms)
            except ProblemError as problem:
                logger.warning(problem.detail, status=problem.status)
                problems.append(problem)
        if problems:
            raise problems[0]

    def _meant(self, event: TeachEvent) -> list[str]:
        if event.tasks and not event.labels:
            return event.tasks
        labels = set(event.labels)
        documents = self._store.read_all(list(task_keys(self._store)))
        saved = [task_name(each.key) for each in documents if not labels or labels & _labels(each.value)]
        return list(dict.fromkeys([*event.tasks, *saved]))

    def _teach(self, task: str, debounce_s: float, left_ms: Callable[[], int]) -> None:
        """Teach a task until nothing changes meanwhile, or another worker is at it."""
        if self._store.read(task_key(task)) is None:
            return  # an annotation may name any task
        while self._teachings.take(task):
            try:
                self._pause(debounce_s)
                seen = self._teach_once(task, left_ms)
            except ErasedMeanwhile:
                seen = None
            finally:
                self._teachings.release(task)
            if (sees := self._see(task)) is None or sees == seen:
                return

    def _teach_once(self, task: str, left_ms: Callable[[], int]) -> Seen | None:
        seen, teaching, document = self._see(task), self._teachings.find(task), self._store.read(task_key(task))
        if seen is None or teaching is None or document is None:
            return None
        told_s = time.monotonic()

        def tell(progress: Progress | None = None) -> None:
            nonlocal told_s
            if left_ms() < STEP_MS:
                raise ServiceUnavailable("no time is left: another worker goes on")
            if progress or time.monotonic() - told_s > BEAT_S:
                self._teachings.tell(task, progress)
                told_s = time.monotonic()

        said = self._annotations.read(dict(seen.annotations), tell)
        looked = Looked(
            task, document.value, seen.model_version, seen.asked, said, max(0, len(seen.annotations) - READ_ANNOTATIONS)
        )
        pupil = Pupil(
            self._teachings,
            self._vectors,
            lambda request: self._patiently(lambda: teach(request, self._endpoint)),
            self._endpoint.max_image_bytes,
        )
        learnt = pupil.learn(looked, teaching, tell)
        if learnt:
            logger.info("taught", gain=learnt.gain, images=sum(learnt.images.values()), labels=len(learnt.images))
        return seen

    def _see(self, task: str) -> Seen | None:
        """What there is now; None if nothing is to teach the task."""
        document, teaching = self._store.read(task_key(task)), self._teachings.find(task)
        if document is None or teaching is None or teaching.paused:
            return None
        version = self._patiently(self._endpoint.version)
        return Seen(document.etag, tuple(self._annotation_store.states().items()), version, teaching.asked)

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        for _ in range(BUSY_ATTEMPTS - 1):
            try:
                return ask()
            except Paused:
                raise  # after a resume all tasks are taught
            except ServiceUnavailable as problem:
                self._pause(min(problem.retry_after_s or 1, MAX_PAUSE_S))
        return ask()


def _labels(task: JsonObject) -> set[str]:
    return {same_to_the_model(each["label"]) for each in task["candidate_labels"]}


@cache
def _teacher() -> Teacher:
    return Teacher(TeachSettings.from_env(), connect_worker)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Teach the tasks that a TeachEvent means. What fails is tried again by who has let it begin."""
    _teacher().teach(TeachEvent.model_validate(event), context.get_remaining_time_in_millis)
