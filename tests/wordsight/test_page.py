import threading
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from contract.limits import API_KEY_HEADER
from tests.lambdas.gateway import served
from tests.lambdas.sagemaker import JPEG_START
from tests.wordsight.conftest import KEY, System
from wordsight.api import Api
from wordsight.page import HOST, MAX_BODY_BYTES, Server


@pytest.fixture
def page(system: System) -> Iterator[Server]:
    """The page of the served API."""
    with served(system.resolve) as url, Server(Api(url, KEY)) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield server
        finally:
            server.shutdown()
            serving.join()


def ask(
    page: Server, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, str, dict[str, str]]:
    """(status, text, headers) of a request below the page's address."""
    connection = HTTPConnection(HOST, page.server_port)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def test_the_page_is_the_apis_with_its_policy(page: Server) -> None:
    status, text, headers = ask(page, "GET", f"/{page.secret}/")
    assert status == 200 and "<title>" in text and "default-src 'none'" in headers["content-security-policy"]


def test_what_it_asks_has_the_key_that_the_browser_need_not_know(page: Server, system: System) -> None:
    path = f"/{page.secret}/classify?candidate_labels=a%20cat&candidate_labels=dog"
    own = f"http://{HOST}:{page.server_port}"
    status, text, headers = ask(page, "POST", path, JPEG_START, content_type="image/jpeg", origin=own)
    assert status == 200 and "a cat" in text and "x-request-id" in headers
    sent = {name.lower(): value for name, value in system.events[-1]["headers"].items()}
    assert (sent[API_KEY_HEADER], sent["content-type"], sent.get("origin")) == (KEY, "image/jpeg", None)


def test_a_refusal_of_the_apis_arrives_as_it_is(page: Server) -> None:
    status, text, headers = ask(page, "POST", f"/{page.secret}/classify?candidate_labels=cat", JPEG_START)
    assert status == 415 and "content-type" in text and headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path, headers, sentence",
    [
        ("/", {}, "the address is not the one"),
        ("/classify", {}, "the address is not the one"),
        ("{root}", {"host": "evil.example"}, "this answers as 127.0.0.1"),
        ("{root}models", {"origin": "https://evil.example"}, "its own page only"),
        ("{root}models", {"origin": "null"}, "its own page only"),
    ],
)
def test_nobody_else_comes_in(page: Server, system: System, path: str, headers: dict[str, str], sentence: str) -> None:
    status, text, answered = ask(page, "GET", path.format(root=f"/{page.secret}/"), **headers)
    assert status == 403 and sentence in text and not system.events
    assert "access-control-allow-origin" not in answered


def test_more_than_the_api_takes_is_not_read(page: Server, system: System) -> None:
    status, _, _ = ask(page, "POST", f"/{page.secret}/classify", None, content_length=str(MAX_BODY_BYTES + 1))
    assert status == 413 and not system.events


def test_an_api_that_is_gone_is_a_bad_gateway() -> None:
    with Server(Api("http://127.0.0.1:1", KEY)) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        status, text, _ = ask(server, "GET", f"/{server.secret}/health")
        server.shutdown()
        serving.join()
    assert status == 502 and "nothing answers at 127.0.0.1:1" in text
