from typing import Any

import pytest
from aws_lambda_powertools import Logger

from contract.problems import Conflict, ServiceUnavailable
from contract.routes import GET_TASK
from lambdas.web.resolver import Resolver
from tests.lambdas.conftest import CONTEXT, Call
from tests.lambdas.gateway import Answer, proxy_event


def ask(error: Exception, logger: Logger | None = None) -> Answer:
    app = Resolver((), logger or Logger(service="test"))

    def fail(task: str) -> Any:
        raise error

    app.answers(GET_TASK, fail)
    return Answer(app.resolve(proxy_event("GET", "/tasks/a"), CONTEXT))  # type: ignore[arg-type]


def test_a_problem_is_answered_with_its_status_and_sentence() -> None:
    answer = ask(Conflict("it is busy"))
    assert (answer.status, answer.detail) == (409, "it is busy") and "retry-after" not in answer.headers
    assert ask(ServiceUnavailable("later", retry_after_s=7)).headers["retry-after"] == "7"


def test_what_was_not_foreseen_is_answered_with_a_fixed_sentence() -> None:
    answer = ask(KeyError("a secret"))
    assert answer.status == 500 and "quote the request id" in answer.detail and "secret" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "known"), [("PATCH", "/tasks/a", "PUT /tasks/{task}"), ("GET", "/x", "POST /classify")]
)
def test_what_is_no_route_is_answered_with_the_routes(annotate: Call, method: str, path: str, known: str) -> None:
    answer = annotate(proxy_event(method, path))
    assert answer.status == 404 and f"no route {method} {path}: there are" in answer.detail and known in answer.detail
