"""How API Gateway's events are read and answered; CORS through the API's function."""

from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from pydantic import BaseModel

from contract.limits import MAX_ANSWER_BYTES
from contract.problems import Conflict, ServiceUnavailable
from contract.routes import GET_TASK
from lambdas.classify.main import create_app
from lambdas.settings import ClassifySettings
from lambdas.web.resolver import Resolver, handler_of
from tests.lambdas.conftest import CONTEXT, Call
from tests.lambdas.gateway import Answer, event, proxy_event
from tests.lambdas.sagemaker import SageMaker


class TestBrowsersFromElsewhere:
    @staticmethod
    def ask(sagemaker: SageMaker, method: str, *allowed: str, origin: str = "https://a.example") -> Answer:
        own = ClassifySettings(endpoint_name="wordsight-test", data_bucket="wordsight-data", cors_origins=allowed)
        made = event("classify_raw") | {"httpMethod": method}
        made["headers"]["origin"], made["multiValueHeaders"]["origin"] = origin, [origin]
        return Answer(create_app(own, sagemaker.connect).resolve(made, CONTEXT))  # type: ignore[arg-type]

    def test_get_no_permission_unless_it_is_configured(self, sagemaker: SageMaker):
        headers = self.ask(sagemaker, "POST").headers
        assert not [name for name in headers if name.startswith("access-control")]

    def test_get_it_if_their_origin_is(self, sagemaker: SageMaker):
        headers = self.ask(sagemaker, "POST", "https://b.example", "https://a.example").headers
        assert headers["access-control-allow-origin"] == "https://a.example"
        assert "x-model-version" in headers["access-control-expose-headers"]
        assert "x-api-key" in headers["access-control-allow-headers"].lower()
        other = self.ask(sagemaker, "POST", "https://b.example").headers
        assert "access-control-allow-origin" not in other

    def test_may_ask_first(self, sagemaker: SageMaker):
        answer = self.ask(sagemaker, "OPTIONS", "https://a.example")
        assert answer.status == 204 and "POST" in answer.headers["access-control-allow-methods"]

    def test_read_errors_too(self, sagemaker: SageMaker):
        sagemaker.failure = (503, "ServiceUnavailable", {"Message": "busy"})
        answer = self.ask(sagemaker, "POST", "*")
        assert answer.status == 503 and answer.headers["access-control-allow-origin"] == "*"


class Body(BaseModel):
    name: str


class Echo:
    """A resolver whose one route answers with what `look` sees of the request."""

    def __init__(self) -> None:
        self.app = Resolver((), Logger(service="test"))
        self.look: Callable[[], Any] = dict
        self.app.answers(GET_TASK, lambda task: {"task": task, "seen": self.look()})

    def ask(self, query: str = "", body: bytes = b"", content_type: str = "application/json") -> Answer:
        made = proxy_event("GET", "/tasks/a", query=query, body=body, headers={"content-type": content_type})
        return Answer(self.app.resolve(made, CONTEXT))  # type: ignore[arg-type]


@pytest.fixture
def echo() -> Echo:
    return Echo()


def test_a_route_is_answered_with_what_its_work_returns_for_the_paths_parameters(echo: Echo) -> None:
    answer = echo.ask()
    assert answer.status == 200 and answer.json == {"task": "a", "seen": {}}
    assert answer.headers["x-request-id"]


def test_a_body_is_bytes_however_api_gateway_hands_it_over(echo: Echo) -> None:
    echo.look = lambda: [*echo.app.body]
    assert bytes(echo.ask(body="ä".encode()).json["seen"]) == "ä".encode()
    assert bytes(echo.ask(body=b"\xff\x00", content_type="image/png").json["seen"]) == b"\xff\x00"


def test_a_json_body_is_read_as_its_model_and_may_have_a_default(echo: Echo) -> None:
    echo.look = lambda: echo.app.json_body(Body).model_dump()
    assert echo.ask(body=b'{"name": "a"}').json["seen"] == {"name": "a"}
    assert "name: is missing" in echo.ask(body=b"{}").detail
    assert echo.ask(body=b'{"name": "a"}', content_type="text/x").status == 415
    assert echo.ask().status == 400
    echo.look = lambda: echo.app.json_body(Body, default=Body(name="b")).model_dump()
    assert echo.ask().json["seen"] == {"name": "b"}


@pytest.mark.parametrize(
    ("query", "seen"), [("", [50, ""]), ("limit=1&after=x", [1, "x"]), ("limit=50&dataset=a&dataset=b", [50, ""])]
)
def test_a_page_has_a_limit_and_a_place_to_go_on(echo: Echo, query: str, seen: list[Any]) -> None:
    echo.look = lambda: [*echo.app.page_query(50, "dataset")]
    assert echo.ask(query).json["seen"] == seen


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=51", "allowed is a number from 1 to 50"),
        ("limit=0", "allowed is"),
        ("limit=1e1", "allowed is"),
        ("limit=1&limit=2", "limit is given 2 times"),
        ("page=2", "page: not a known field of the query, allowed are limit, after, dataset"),
    ],
)
def test_another_query_is_refused(echo: Echo, query: str, said: str) -> None:
    echo.look = lambda: echo.app.page_query(50, "dataset")
    answer = echo.ask(query)
    assert answer.status == 400 and said in answer.detail


def test_a_query_without_its_repeated_values_is_read_too(echo: Echo) -> None:
    echo.look = lambda: dict(echo.app.query)
    made = proxy_event("GET", "/tasks/a", query="x=1,2") | {"multiValueQueryStringParameters": None}
    assert Answer(echo.app.resolve(made, CONTEXT)).json["seen"] == {"x": ["1,2"]}  # type: ignore[arg-type]


@pytest.mark.parametrize("query", ["label=caf%E9", "caf%E9=1", "label=%00"])
def test_a_query_that_is_not_utf_8_is_refused(echo: Echo, query: str) -> None:
    echo.look = lambda: dict(echo.app.query)
    assert echo.ask("label=caf%C3%A9").json["seen"] == {"label": ["café"]}
    answer = echo.ask(query)
    assert answer.status == 400 and "send UTF-8 text" in answer.detail


@pytest.mark.parametrize("body", ["caf\ufffd", "\ud800"])
def test_json_that_was_not_utf_8_is_refused(echo: Echo, body: str) -> None:
    echo.look = lambda: echo.app.json_body(Body).model_dump()
    made = proxy_event("GET", "/tasks/a", headers={"content-type": "application/json"}, body=b"{}")
    made["body"] = f'{{"name": "{body}"}}'
    answer = Answer(echo.app.resolve(made, CONTEXT))  # type: ignore[arg-type]
    assert answer.status == 400 and "UTF-8" in answer.detail


def test_an_answer_too_large_for_lambda_is_refused(echo: Echo) -> None:
    echo.look = lambda: "x" * MAX_ANSWER_BYTES
    assert f"at most {MAX_ANSWER_BYTES:,} can be returned" in echo.ask().detail


def test_a_handler_makes_its_routes_once_at_its_first_event(echo: Echo) -> None:
    made: list[Resolver] = []

    def make() -> Resolver:
        made.append(echo.app)
        return echo.app

    handler = handler_of(Logger(service="test"), make)
    assert not made
    for _ in range(2):
        assert Answer(handler(proxy_event("GET", "/tasks/a"), CONTEXT)).status == 200  # type: ignore[arg-type]
    assert len(made) == 1


def ask_failing(error: Exception, logger: Logger | None = None) -> Answer:
    app = Resolver((), logger or Logger(service="test"))

    def fail(task: str) -> Any:
        raise error

    app.answers(GET_TASK, fail)
    return Answer(app.resolve(proxy_event("GET", "/tasks/a"), CONTEXT))  # type: ignore[arg-type]


def test_a_problem_is_answered_with_its_status_and_sentence() -> None:
    answer = ask_failing(Conflict("it is busy"))
    assert (answer.status, answer.detail) == (409, "it is busy") and "retry-after" not in answer.headers
    assert ask_failing(ServiceUnavailable("later", retry_after_s=7)).headers["retry-after"] == "7"


def test_what_was_not_foreseen_is_answered_with_a_fixed_sentence() -> None:
    answer = ask_failing(KeyError("a secret"))
    assert answer.status == 500 and "quote the request id" in answer.detail and "secret" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "known"), [("PATCH", "/tasks/a", "PUT /tasks/{task}"), ("GET", "/x", "POST /classify")]
)
def test_what_is_no_route_is_answered_with_the_routes(annotate: Call, method: str, path: str, known: str) -> None:
    answer = annotate(proxy_event(method, path))
    assert answer.status == 404 and f"no route {method} {path}: there are" in answer.detail and known in answer.detail
