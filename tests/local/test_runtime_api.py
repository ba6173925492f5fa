"""The stand-in for Lambda's runtime API does what Lambda's page says of it."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection

import pytest

from local.runtime_api import Outcome, RuntimeServer


@pytest.fixture
def api() -> Iterator[RuntimeServer]:
    with closing(RuntimeServer()) as api:
        yield api


def ask(
    api: RuntimeServer, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, Mapping[str, str], bytes]:
    with closing(HTTPConnection(api.host_and_port, timeout=30)) as connection:
        connection.request(method, f"/2018-06-01/runtime/{path}", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_invocations_are_handed_out_in_turn_and_their_outcomes_are_told_apart(api: RuntimeServer) -> None:
    for number, kind in (("one", "response"), ("two", "error")):
        api.given.put((number, b'{"given": 1}'))
        status, told, event = ask(api, "GET", "invocation/next")
        assert (status, told["Lambda-Runtime-Aws-Request-Id"], event) == (200, number, b'{"given": 1}')
        assert ask(api, "POST", f"invocation/{number}/{kind}", b"{}")[0] == 202
        assert api.outcomes.get(timeout=30) == Outcome(number, kind == "response", b"{}")
    assert api.asked_for.qsize() == 2


def test_an_error_of_the_start_is_of_no_invocation(api: RuntimeServer) -> None:
    assert ask(api, "POST", "init/error", b"{}", **{"Lambda-Runtime-Function-Error-Type": "Runtime.NoModel"})[0] == 202
    assert api.outcomes.get(timeout=30) == Outcome("", False, b"{}", "Runtime.NoModel")


def test_after_the_end_there_is_no_invocation(api: RuntimeServer) -> None:
    api.ended.set()
    assert ask(api, "GET", "invocation/next")[0] == 410


def test_anything_else_is_not_there(api: RuntimeServer) -> None:
    assert ask(api, "GET", "invocation/last")[0] == 404
