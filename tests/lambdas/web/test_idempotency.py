import json
import time
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response

from contract.limits import LAMBDA_TIMEOUT_S
from contract.problems import BadRequest, NotFound, ServiceUnavailable
from lambdas.aws.clients import connect
from lambdas.aws.s3 import Store
from lambdas.web.idempotency import once
from lambdas.web.resolver import Resolver
from tests.lambdas.conftest import CONTEXT, SETTINGS
from tests.lambdas.gateway import Answer, proxy_event


class Orders:
    """POST /orders and /returns, which fail as they are told. `made` are the ids of what was created."""

    def __init__(self) -> None:
        self.store = Store(SETTINGS.data_bucket, connect)
        self.made: list[str] = []
        self.failure: Exception | None = None
        self.app = Resolver((), Logger(service="test"))
        for path in ("/orders", "/returns"):
            self.app.route(path, "POST")(lambda: once(self.app, self.store, self._make))

    def _make(self, id: str) -> Response[str]:
        self.made.append(id)
        if self.failure:
            raise self.failure
        return self.app.answer({"id": id}, 202, {"location": f"/orders/{id}"})

    def post(
        self,
        key: str | None,
        body: bytes = b"{}",
        path: str = "/orders",
        content_type: str = "text/x",
        query: str = "",
    ) -> Answer:
        headers = {"content-type": content_type, **({} if key is None else {"idempotency-key": key})}
        made = proxy_event("POST", path, headers=headers, body=body, query=query)
        return Answer(self.app.resolve(made, CONTEXT))  # type: ignore[arg-type]


@pytest.fixture
def orders(bucket: Any) -> Orders:
    return Orders()


def documents(bucket: Any) -> list[Any]:
    return list(bucket.objects.filter(Prefix="idempotency/"))


def test_the_same_key_and_body_get_the_first_answer_and_create_nothing_twice(orders: Orders) -> None:
    first, again = orders.post("a"), orders.post("a")
    assert (again.status, again.json, again.headers["location"]) == (202, first.json, first.headers["location"])
    assert again.headers["x-request-id"]
    assert len(orders.made) == 1


def test_without_a_key_every_request_creates_something_under_an_id_of_its_own(orders: Orders, bucket: Any) -> None:
    orders.post(None)
    orders.post(None)
    assert len(set(orders.made)) == 2 and not documents(bucket)


def test_another_key_or_another_route_is_another_request(orders: Orders) -> None:
    for key, path in (("a", "/orders"), ("b", "/orders"), ("a", "/returns")):
        assert orders.post(key, path=path).status == 202
    assert len(orders.made) == 3


def test_another_body_under_the_same_key_is_a_conflict(orders: Orders) -> None:
    orders.post("a")
    answer = orders.post("a", b'{"other": 1}')
    assert answer.status == 409 and "another request" in answer.detail
    assert len(orders.made) == 1


def test_a_form_is_the_same_whatever_its_boundary(orders: Orders) -> None:
    for boundary in ("one", "two"):
        body = f'--{boundary}\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--{boundary}--\r\n'.encode()
        assert orders.post("a", body, content_type=f"multipart/form-data; boundary={boundary}").status == 202
    assert len(orders.made) == 1


def test_the_boundary_is_not_cut_out_of_what_a_form_says(orders: Orders) -> None:
    for text, status in ((b"dog", 202), (b"doZg", 409), (b"dog", 202)):
        body = b'--Z\r\ncontent-disposition: form-data; name="a"\r\n\r\n' + text + b"\r\n--Z--\r\n"
        assert orders.post("a", body, content_type="multipart/form-data; boundary=Z").status == status
    assert len(orders.made) == 1


def test_another_query_or_media_type_under_the_same_key_is_a_conflict(orders: Orders) -> None:
    assert orders.post("a", content_type="image/png", query="label=fish&task=pet").status == 202
    assert orders.post("a", content_type="image/png", query="task=pet&label=fish").status == 202
    for query, content_type in (("label=car&task=pet", "image/png"), ("label=fish&task=pet", "image/jpeg")):
        assert orders.post("a", content_type=content_type, query=query).status == 409
    assert len(orders.made) == 1


def test_while_the_first_is_at_work_the_second_is_told_to_come_back(orders: Orders, bucket: Any) -> None:
    orders.post("a")
    (document,) = documents(bucket)
    kept = json.loads(document.get()["Body"].read())
    document.put(Body=json.dumps(kept | {"answer": None, "busy_until_epoch_s": int(time.time()) + 60}).encode())
    answer = orders.post("a")
    assert answer.status == 409 and int(answer.headers["retry-after"]) > 0
    assert len(orders.made) == 1


def test_who_died_at_work_is_taken_over_under_the_same_id(orders: Orders, bucket: Any) -> None:
    first = orders.post("a").json["id"]
    (document,) = documents(bucket)
    kept = json.loads(document.get()["Body"].read())
    assert kept["busy_until_epoch_s"] <= time.time() + LAMBDA_TIMEOUT_S
    document.put(Body=json.dumps(kept | {"answer": None, "busy_until_epoch_s": int(time.time()) - 1}).encode())
    assert orders.post("a").json["id"] == first
    assert orders.made == [first, first]


@pytest.mark.parametrize("failure", [ServiceUnavailable("later"), RuntimeError("a bug")])
def test_after_a_failure_of_ours_the_next_attempt_has_the_same_id(orders: Orders, failure: Exception) -> None:
    orders.failure = failure
    assert orders.post("a").status >= 500
    orders.failure = None
    assert orders.post("a").status == 202
    assert len(orders.made) == 2 and len(set(orders.made)) == 1


@pytest.mark.parametrize("failure", [BadRequest("no"), NotFound("none")])
def test_after_a_fault_of_the_callers_the_key_is_free_for_a_better_body(orders: Orders, failure: Exception) -> None:
    orders.failure = failure
    assert orders.post("a", b"bad").status < 500
    orders.failure = None
    assert orders.post("a", b"good").status == 202


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 256])
def test_a_key_that_is_none_is_refused(orders: Orders, key: str) -> None:
    assert "visible ASCII" in orders.post(key).detail
    assert not orders.made
