"""The stand-in for Lambda's runtime API does what Lambda's page says of it."""

import json
import threading
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection

from benchmarks.serving.runtime_api import FakeRuntimeApi, runtime_api
from contract.serving_function import Invocation, Invoked


def ask(
    api: FakeRuntimeApi, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, Mapping[str, str], bytes]:
    with closing(HTTPConnection(api.host_and_port, timeout=30)) as connection:
        connection.request(method, f"/2018-06-01/runtime/{path}", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_an_invocation_waits_for_who_asks_and_its_answer_returns() -> None:
    found: list[Invoked] = []
    with runtime_api() as api:
        caller = threading.Thread(target=lambda: found.append(api.invoke(b"body", "text/plain", "a=b")))
        caller.start()
        _, told, event = ask(api, "GET", "invocation/next")
        invocation = Invocation.model_validate_json(event)
        assert (invocation.body_bytes(), invocation.custom_attributes) == (b"body", "a=b")
        answer = Invoked(status=200, content_type="application/json", body="{}")
        number = told["Lambda-Runtime-Aws-Request-Id"]
        assert ask(api, "POST", f"invocation/{number}/response", answer.model_dump_json().encode())[0] == 202
        caller.join(30)
    assert found == [answer]


def test_an_error_of_the_start_is_kept() -> None:
    with runtime_api() as api:
        told = json.dumps({"errorMessage": "no model", "errorType": "NoModel"}).encode()
        ask(api, "POST", "init/error", told, **{"Lambda-Runtime-Function-Error-Type": "Runtime.NoModel"})
        kept = api.init_errors.get(timeout=30)
        assert (kept["errorMessage"], kept["header"]) == ("no model", "Runtime.NoModel")


def test_when_it_has_ended_it_gives_no_invocation() -> None:
    with runtime_api() as api:
        api.end()
        assert ask(api, "GET", "invocation/next")[0] == 500
