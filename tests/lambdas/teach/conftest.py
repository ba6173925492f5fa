"""One stage whose tasks are taught: the API's functions, the worker that teaches, one bucket and one endpoint."""

import base64
import json
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest

from contract.steps import TeachEvent
from lambdas.annotate import main as annotate
from lambdas.aws.s3 import Store
from lambdas.classify import main as classify
from lambdas.stored.teachings import Teachings
from lambdas.teach.main import Teacher
from tests.lambdas.conftest import ANNOTATE_SETTINGS, CONTEXT, SETTINGS, TEACH_SETTINGS
from tests.lambdas.control_plane import Functions
from tests.lambdas.gateway import Answer, proxy_event
from tests.lambdas.object_store import ObjectStore
from tests.lambdas.sagemaker import JPEG_START, SageMaker

PLENTY_MS = 900_000
PETS = {"candidate_labels": ["cat", "dog"]}


def image(number: int) -> bytes:
    return JPEG_START + f"picture {number}".encode()


def digest(number: int) -> str:
    return sha256(image(number)).hexdigest()


@dataclass
class Stage:
    """`functions` only remembers what is to be taught, until a test lets it work by `teach`."""

    objects: ObjectStore = field(default_factory=ObjectStore)
    sagemaker: SageMaker = field(default_factory=SageMaker)
    functions: Functions = field(default_factory=Functions)
    pauses_s: list[float] = field(default_factory=list)
    left_ms: int = PLENTY_MS

    def __post_init__(self) -> None:
        self.annotate = annotate.create_app(ANNOTATE_SETTINGS, self.connect)
        self.classify = classify.create_app(SETTINGS, self.connect)
        self.teacher = Teacher(TEACH_SETTINGS, self.connect, self.pauses_s.append)

    def connect(self, service: str) -> Any:
        own: dict[str, Any] = {"lambda": self.functions, "s3": self.objects}
        return own.get(service) or self.sagemaker.connect(service)

    @property
    def store(self) -> Store:
        return Store(SETTINGS.data_bucket, self.connect)

    @property
    def teachings(self) -> Teachings:
        return Teachings(self.store)

    def ask(self, method: str, path: str, body: Any = None, query: str = "", **headers: str) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"content-type": "application/json"}
        made = proxy_event(method, path, body=content, headers={**kind, **headers}, query=query)
        app = self.classify if path == "/classify" else self.annotate
        return Answer(app.resolve(made, CONTEXT))  # type: ignore[arg-type]

    def save(self, task: str = "pet", **question: Any) -> None:
        assert self.ask("PUT", f"/tasks/{task}", {**PETS, **question}).status in (200, 201)

    def say(self, number: int, label: str, **more: Any) -> str:
        """Annotate a picture; the annotation's id."""
        body = {"image": base64.b64encode(image(number)).decode(), "label": label, **more}
        answer = self.ask("POST", "/annotations", body)
        assert answer.status in (200, 201), answer.text
        return str(answer.json["id"])

    def teach(self, **event: Any) -> None:
        """Let the worker do what it was told, or what `event` says."""
        events, self.functions.begun = (self.functions.begun, []) if not event else ([event], self.functions.begun)
        for each in events:
            self.teacher.teach(TeachEvent.model_validate(each), lambda: self.left_ms)

    def taught(self, task: str = "pet") -> Any:
        answer = self.ask("GET", f"/tasks/{task}")
        assert answer.status == 200, answer.text
        return answer.json["taught"]

    def classified(self, number: int = 0, task: Any = "pet", **parameters: Any) -> Answer:
        inputs = base64.b64encode(image(number)).decode()
        answer = self.ask("POST", "/classify", {"inputs": inputs, "parameters": {"task": task, **parameters}})
        assert answer.status == 200, answer.text
        return answer

    def keys(self, prefix: str) -> list[str]:
        return self.objects.keys(prefix)

    def pets(self, each: int = 2) -> None:
        """A saved task with so many images of each label, which it was taught."""
        self.save()
        for number in range(2 * each):
            self.say(number, ("cat", "dog")[number % 2])
        self.functions.begun.clear()
        self.teach(tasks=["pet"])


@pytest.fixture
def stage() -> Stage:
    return Stage()


def busy_for(seconds: float) -> int:
    return int(time.time() + seconds)
