"""Every request of the corpus, sent through the API's functions: the status is one that may come, what refuses says why
in few words, and none is a fault of ours.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from contract.forms import read_fields
from contract.limits import MAX_INVOCATION_BYTES
from contract.problems import ProblemError
from contract.requests import parse_request
from contract.routes import FUNCTIONS
from lambdas.annotate.main import create_app as annotate_app
from lambdas.manage.main import create_app as manage_app
from tests.hostile.requests import FAMILIES, REQUESTS, Sent
from tests.lambdas.conftest import ANNOTATE_SETTINGS, CONTEXT, Call
from tests.lambdas.gateway import Answer, Event, proxy_event
from tests.lambdas.manage.conftest import Stage
from tests.lambdas.sagemaker import SageMaker

pytestmark = pytest.mark.slow


MAX_PROBLEM_BYTES = 65_536


@pytest.fixture
def ask(call: Call, sagemaker: SageMaker, stage: Stage) -> Callable[[Sent], Answer]:
    """The whole API over one bucket."""

    def connect(service: str) -> Any:
        return stage.stepfunctions if service == "stepfunctions" else sagemaker.connect(service)

    keeping, managing = annotate_app(ANNOTATE_SETTINGS, connect), manage_app(stage.settings, stage.connect)
    functions: dict[str, Callable[[Event], Answer]] = {
        "classify": call,
        "annotate": lambda event: Answer(keeping.resolve(event, CONTEXT)),  # type: ignore[arg-type]
        "manage": lambda event: Answer(managing.resolve(event, CONTEXT)),  # type: ignore[arg-type]
    }

    def send(sent: Sent) -> Answer:
        event = proxy_event(sent.method, sent.path, body=sent.body, headers=sent.all_headers, query=sent.query)
        return functions[FUNCTIONS.get(sent.path.split("/")[1], "classify")](event)

    return send


def test_there_are_as_many_as_there_should_be() -> None:
    assert len(REQUESTS) >= 120


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_a_request_is_answered_or_refused_in_few_words(
    ask: Callable[[Sent], Answer], family: Callable[[], Iterator[tuple[str, Sent]]]
) -> None:
    wrong = {}
    for name, sent in family():
        answer = ask(sent)
        if answer.status not in sent.statuses:
            wrong[name] = f"{answer.status} {answer.text[:200]}"
        elif answer.status >= 400 and not (len(answer.detail) > 10 and len(answer.text.encode()) < MAX_PROBLEM_BYTES):
            wrong[name] = f"{len(answer.text):,} characters"
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())


def test_the_container_reads_the_same_bodies_or_refuses_them() -> None:
    """What comes to the container comes as bytes: no gateway has made text of it."""
    wrong: dict[str, str] = {}
    for name, sent in REQUESTS.items():
        if sent.path != "/classify" or not sent.body:
            continue
        query = {} if sent.content_type == "application/json" else {"candidate_labels": ["red,blue"]}
        try:
            parse_request(sent.content_type, sent.body, query, max_image_bytes=MAX_INVOCATION_BYTES)
        except ProblemError as problem:
            if not (400 <= problem.status < 500 and len(json.dumps(problem.body())) < MAX_PROBLEM_BYTES):
                wrong[name] = problem.detail[:200]
        except Exception as error:
            wrong[name] = repr(error)
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())


def test_a_form_of_a_file_is_read_whole() -> None:
    sent = REQUESTS["a form"]
    (image,), fields = read_fields(sent.content_type, sent.body, {})
    assert image.startswith(b"\x89PNG") and fields == {"candidate_labels": ["red,blue"]}
