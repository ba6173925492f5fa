"""The command line against the API's real functions, served over HTTP."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from contract.routes import ROUTES
from contract.steps import TeachEvent
from lambdas.annotate import main as annotate
from lambdas.aws.s3 import Store
from lambdas.classify import main as classify
from lambdas.manage import main as manage
from lambdas.stored.registry import Registry
from lambdas.teach.main import Teacher
from tests.lambdas.conftest import (  # noqa: F401, the fixtures that the ones here need
    ANNOTATE_SETTINGS,
    CONTEXT,
    SETTINGS,
    TEACH_SETTINGS,
    _account_that_is_nobodys,
    _s3,
    bucket,
)
from tests.lambdas.control_plane import CloudFormation, Functions, StepFunctions, TrainingJobs
from tests.lambdas.gateway import Event, served
from tests.lambdas.manage.conftest import TRAIN_SETTINGS
from tests.lambdas.sagemaker import SageMaker
from wordsight.__main__ import main

FUNCTIONS = {route.path.split("/")[1]: route.function for route in ROUTES}
KEY = "the-key"
OF_THE_FUNCTIONS = ('{"level"', '{"_aws"')
"""How their logs and metrics begin, which here go to the same place."""


@dataclass
class System:
    """Everything behind the API, and what was sent to it."""

    bucket: Any
    sagemaker: SageMaker = field(default_factory=SageMaker)
    stepfunctions: StepFunctions = field(default_factory=StepFunctions)
    cloudformation: CloudFormation = field(default_factory=CloudFormation)
    jobs: TrainingJobs = field(default_factory=TrainingJobs)
    functions: Functions = field(default_factory=Functions)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.functions.work = self.teach

    def teach(self, event: dict[str, Any]) -> None:
        """What Lambda does by itself."""
        teacher = Teacher(TEACH_SETTINGS, self.connect, lambda _: None)
        teacher.teach(TeachEvent.model_validate(event), lambda: 900_000)

    def connect(self, service: str) -> Any:
        own = {
            "s3": self.bucket.meta.client,
            "stepfunctions": self.stepfunctions,
            "cloudformation": self.cloudformation,
            "sagemaker": self.jobs,
            "lambda": self.functions,
        }
        return own.get(service) or self.sagemaker.client(service)

    def resolve(self, event: Event) -> dict[str, Any]:
        self.events.append(event)
        apps = {
            "classify": lambda: classify.create_app(SETTINGS, self.sagemaker.connect),
            "annotate": lambda: annotate.create_app(ANNOTATE_SETTINGS, self.connect),
            "manage": lambda: manage.create_app(TRAIN_SETTINGS, self.connect),
        }
        app = apps[FUNCTIONS.get(event["path"].split("/")[1], "classify")]()
        answer: dict[str, Any] = app.resolve(event, CONTEXT)  # type: ignore[arg-type]
        return answer

    @property
    def store(self) -> Store:
        return Store(self.bucket.name, self.connect)

    @property
    def registry(self) -> Registry:
        return Registry(self.store)


@dataclass(frozen=True)
class Ran:
    """What a command left on the terminal."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Shell = Callable[..., Ran]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def system(bucket: Any) -> System:  # noqa: F811
    return System(bucket)


@pytest.fixture
def shell(system: System, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """Runs a command against the served API."""
    with served(system.resolve) as url:

        def run(*argv: object) -> Ran:
            status = main([*map(str, argv)], {"WORDSIGHT_URL": url, "WORDSIGHT_API_KEY": KEY})
            captured = capsys.readouterr()
            out = "".join(
                line for line in captured.out.splitlines(keepends=True) if not line.startswith(OF_THE_FUNCTIONS)
            )
            return Ran(status, out, captured.err)

        yield run


def started(url: str, *argv: object, **streams: Any) -> "subprocess.Popen[bytes]":
    """The command as a process of its own, as a shell starts it."""
    environ = {**os.environ, "WORDSIGHT_URL": url, "WORDSIGHT_API_KEY": KEY}
    command = [sys.executable, "-m", "wordsight", *map(str, argv)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen(command, cwd=ROOT, env=environ, **streams)
