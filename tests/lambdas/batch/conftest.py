"""Batches of one stage: the API's function and the worker, which the tests call as the state machine does."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from lambdas.aws.endpoint import Endpoint
from lambdas.aws.s3 import Store
from lambdas.batch.main import Worker
from lambdas.batch.shard import ShardWorker
from lambdas.manage.main import create_app
from lambdas.settings import BatchSettings
from tests.lambdas.conftest import CONTEXT, SETTINGS
from tests.lambdas.control_plane import StepFunctions
from tests.lambdas.gateway import Answer, proxy_event
from tests.lambdas.manage.conftest import TRAIN_SETTINGS
from tests.lambdas.sagemaker import JPEG_START, SageMaker

QUESTION = {"candidate_labels": ["cat", "dog"], "top_k": 1}


NO_IMAGE = b"no image"


PLENTY_MS = 900_000


class Killed(BaseException):
    """Ends a worker as its process's end does: nothing of it runs any more."""


@dataclass
class Intercepted:
    """A client one of whose methods is looked at before it is called."""

    client: Any
    method: str
    look: Callable[[dict[str, Any]], None]

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self.client, name)
        if name != self.method:
            return inner

        def call(**request: Any) -> Any:
            self.look(request)
            return inner(**request)

        return call


@dataclass
class Stage:
    bucket: Any
    sagemaker: SageMaker = field(default_factory=SageMaker)
    stepfunctions: StepFunctions = field(default_factory=StepFunctions)
    before_invocation: Callable[[dict[str, Any]], None] = lambda _: None
    before_get: Callable[[dict[str, Any]], None] = lambda _: None
    before_put: Callable[[dict[str, Any]], None] = lambda _: None
    pauses_s: list[float] = field(default_factory=list)

    def connect(self, service: str) -> Any:
        if service == "stepfunctions":
            return self.stepfunctions
        if service == "s3":
            reads = Intercepted(self.bucket.meta.client, "get_object", lambda request: self.before_get(request))
            return Intercepted(reads, "put_object", lambda request: self.before_put(request))
        runtime = self.sagemaker.client(service)
        return Intercepted(runtime, "invoke_endpoint", lambda request: self.before_invocation(request))

    @property
    def store(self) -> Store:
        return Store(self.bucket.name, self.connect)

    def ask(self, method: str, path: str, body: Any = None, query: str = "", **headers: str) -> Answer:
        sent = {} if body is None else {"content-type": "application/json"}
        content = b"" if body is None else json.dumps(body).encode()
        made = proxy_event(method, path, headers={**sent, **headers}, body=content, query=query)
        return Answer(create_app(TRAIN_SETTINGS, self.connect).resolve(made, CONTEXT))  # type: ignore[arg-type]

    def put(self, count: int, prefix: str = "collections/pets/", bad: tuple[int, ...] = ()) -> list[str]:
        keys = [f"{prefix}{number:05}" for number in range(count)]
        for number, key in enumerate(keys):
            image = NO_IMAGE if number in bad else JPEG_START + str(number).encode()
            self.bucket.put_object(Key=key, Body=image)
        return keys

    def manifest(self, *lines: str, key: str = "collections/pets.jsonl") -> str:
        self.bucket.put_object(Key=key, Body="".join(f"{line}\n" for line in lines).encode())
        return key

    def begun(self, **body: Any) -> str:
        answer = self.ask("POST", "/batches", {"parameters": QUESTION, **body})
        assert answer.status == 202, answer.text
        return str(answer.json["id"])

    def view(self, id: str) -> Any:
        answer = self.ask("GET", f"/batches/{id}")
        assert answer.status == 200, answer.text
        return answer.json

    def step(self, step: str, id: str, **more: Any) -> Any:
        settings = BatchSettings(endpoint_name=SETTINGS.endpoint_name, data_bucket=self.bucket.name)
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: PLENTY_MS)
        return Worker(settings, self.connect).take({"step": step, "id": id, **more}, context)  # type: ignore[arg-type]

    def shard_worker(self, left_ms: Callable[[], int] = lambda: PLENTY_MS) -> ShardWorker:
        endpoint = Endpoint(SETTINGS.endpoint_name, self.connect)
        return ShardWorker(self.store, endpoint, left_ms, self.pauses_s.append)

    def work(self, id: str) -> None:
        """Everything that the state machine does, with one retry of what was killed."""
        for shard in self.step("plan", id)["shards"]:
            try:
                self.step("shard", id, shard=shard)
            except Killed:
                self.step("shard", id, shard=shard)

    def execution(self, id: str, attempt: int = 1) -> dict[str, Any]:
        machine = TRAIN_SETTINGS.batch_machine_arn.replace(":stateMachine:", ":execution:")
        return self.stepfunctions.executions[f"{machine}:{id}-{attempt}"]

    def lines(self, prefix: str) -> list[dict[str, Any]]:
        found = sorted(self.bucket.objects.filter(Prefix=prefix), key=lambda each: each.key)
        return [json.loads(line) for each in found for line in each.get()["Body"].read().splitlines()]


@pytest.fixture
def stage(bucket: Any) -> Stage:
    return Stage(bucket)


def kill_at(numbers: set[int]) -> Callable[[dict[str, Any]], None]:
    """Kill at the calls of these numbers."""
    calls = iter(range(1_000_000))

    def look(_: dict[str, Any]) -> None:
        if next(calls) in numbers:
            raise Killed

    return look
