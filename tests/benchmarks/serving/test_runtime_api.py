"""An invocation waits for its own answer."""

import threading
from contextlib import closing
from http.client import HTTPConnection

import pytest

from benchmarks.serving.runtime_api import FakeRuntimeApi, runtime_api
from contract.serving_function import Invocation, Invoked

ANSWER = Invoked(status=200, content_type="application/json", body="{}")


def ask(api: FakeRuntimeApi, method: str, path: str, body: bytes = b"") -> bytes:
    with closing(HTTPConnection(api.host_and_port, timeout=30)) as connection:
        connection.request(method, f"/2018-06-01/runtime/{path}", body)
        return connection.getresponse().read()


def answer(api: FakeRuntimeApi, number: str) -> Invocation:
    """What was asked; it is answered as the invocation `number`."""
    asked = Invocation.model_validate_json(ask(api, "GET", "invocation/next"))
    ask(api, "POST", f"invocation/{number}/response", ANSWER.model_dump_json().encode())
    return asked


def test_an_invocation_waits_for_its_answer() -> None:
    asked: list[Invocation] = []
    with runtime_api() as api:
        function = threading.Thread(target=lambda: asked.append(answer(api, "number-0")))
        function.start()
        assert api.invoke(b"body", "text/plain", "a=b") == ANSWER
        function.join(30)
    assert (asked[0].body_bytes(), asked[0].content_type, asked[0].custom_attributes) == (b"body", "text/plain", "a=b")


def test_the_answer_to_another_one_is_none() -> None:
    with runtime_api() as api:
        threading.Thread(target=answer, args=(api, "number-7")).start()
        with pytest.raises(ValueError, match="number-0 was asked"):
            api.invoke(b"body")
