"""Which requests leave a line about who changed what, and what it never holds."""

import io
import itertools
import json
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response

from contract.problems import NotFound
from contract.routes import (
    CLASSIFY,
    ERASE_IMAGE,
    GET_MODEL,
    POST_ANNOTATIONS,
    PROMOTE_MODEL,
    PUT_TASK,
    START_TRAINING,
    Route,
)
from lambdas.web.resolver import Resolver
from tests.lambdas.conftest import CONTEXT
from tests.lambdas.gateway import proxy_event

KEY = "manage-0123456789abcdef"
BY_KEY = {"apiKey": KEY, "apiKeyId": "k1a2b3", "userArn": None, "sourceIp": "192.0.2.1"}
NUMBERS = itertools.count()
"""Loggers of one name share the first one's stream."""
BY_IAM = {"apiKey": None, "userArn": "arn:aws:iam::123456789012:user/ann", "caller": "AIDA"}


def lines(route: Route, path: str, answer: Response[str] | Exception, **request: Any) -> list[dict[str, Any]]:
    """What is logged of one request to `route` that gets `answer`."""
    stream = io.StringIO()
    app = Resolver((), Logger(service=f"audit-{next(NUMBERS)}", stream=stream))

    @app.on(route)
    def _work(**_: str) -> Response[str]:
        if isinstance(answer, Exception):
            raise answer
        return answer

    identity = request.pop("identity", BY_KEY)
    made = proxy_event(route.method, path, headers={"x-api-key": KEY}, **request)
    made["requestContext"]["identity"] = identity
    app.resolve(made, CONTEXT)  # type: ignore[arg-type]
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def answered(status: int, **members: Any) -> Response[str]:
    return Response(status, "application/json", json.dumps(members) if members else None)


def test_a_promotion_says_who_asked_and_which_version() -> None:
    promoted = answered(202, id="20261129120000-0a1b2c", version="v7", state="updating")
    (line,) = lines(PROMOTE_MODEL, "/models/v7/promote", promoted)
    assert (line["message"], line["action"], line["who"], line["status"]) == ("audit", "promote_model", "k1a2b3", 202)
    assert line["object"] == {"version": "v7", "id": "20261129120000-0a1b2c"}
    (signed,) = lines(PROMOTE_MODEL, "/models/v7/promote", promoted, identity=BY_IAM)
    assert signed["who"] == BY_IAM["userArn"]


def test_an_erasure_names_the_image_by_its_id_although_nothing_is_answered_of_it() -> None:
    (line,) = lines(ERASE_IMAGE, "/annotations", answered(200, annotations=3), query="image=abc&other=secret")
    assert line["object"] == {"image": "abc"}
    assert "secret" not in json.dumps(line)


def test_a_rehearsal_can_be_told_from_a_training() -> None:
    (line,) = lines(START_TRAINING, "/trainings", answered(200, starts=True), query="dry_run=true")
    assert (line["object"], line["status"]) == ({"dry_run": "true"}, 200)


@pytest.mark.parametrize(
    ("route", "path"), [(CLASSIFY, "/classify"), (GET_MODEL, "/models/v7")], ids=lambda each: getattr(each, "name", "")
)
def test_who_only_asks_or_reads_leaves_none(route: Route, path: str) -> None:
    assert lines(route, path, answered(200, id="a")) == []


def test_what_was_refused_leaves_none() -> None:
    assert lines(PROMOTE_MODEL, "/models/v7/promote", NotFound("there is no model")) == []


def test_a_line_never_holds_a_key_or_what_was_said_of_an_image() -> None:
    body = b'{"candidate_labels": ["a very private sentence"]}'
    answer = answered(201, name="mine", candidate_labels=["a very private sentence"])
    (line,) = lines(PUT_TASK, "/tasks/mine", answer, body=body)
    assert line["object"] == {"task": "mine", "name": "mine"}
    assert not {"private", KEY} & set(json.dumps(line).split()) and "sentence" not in json.dumps(line)
    (stored,) = lines(POST_ANNOTATIONS, "/annotations", answered(201, results=[{"label": "private"}]))
    assert (stored["action"], stored["object"]) == ("post_annotations", {})
