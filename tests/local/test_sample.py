import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from local import sample
from local.deployment import Deployment
from local.settings import LocalError

SCORES = [{"label": "star", "score": 0.75}, {"label": "circle", "score": 0.25}]


class Api(BaseHTTPRequestHandler):
    """Answers with the statuses it was given, one after the other."""

    statuses: list[int]
    requests: list[tuple[str, str | None, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.path, self.headers["x-api-key"], body))
        status = self.statuses.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(SCORES if status == 200 else {"detail": "two labels at least"}).encode())

    def do_GET(self) -> None:
        self.send_response(self.statuses.pop(0))
        self.end_headers()
        self.wfile.write(json.dumps({"knows": "This model knows drawings."}).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[str]:
    Api.requests = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "sample.png").write_bytes(b"an image")
    return tmp_path / "sample.png"


def test_the_image_is_posted_with_the_key_and_the_labels(api: str, image: Path) -> None:
    Api.statuses = [200]
    assert sample.classify(Deployment(api, "key", False, "clip"), image) == SCORES
    [(path, key, body)] = Api.requests
    assert path.startswith("/classify?candidate_labels=")
    assert (key, body) == ("key", b"an image")


def test_an_endpoint_that_is_not_ready_is_asked_again(api: str, image: Path) -> None:
    Api.statuses = [503, 503, 200]
    assert sample.classify(Deployment(api, None, False, "clip"), image) == SCORES


def test_any_other_refusal_is_shown_as_the_api_put_it(api: str, image: Path) -> None:
    Api.statuses = [400]
    with pytest.raises(LocalError, match=r"answered 400.*two labels at least"):
        sample.classify(Deployment(api, None, False, "clip"), image)


def test_the_answer_is_shown_as_a_bar_per_label() -> None:
    star, circle = sample.picture(SCORES).splitlines()
    assert star.split()[:2] == ["star", "75.0%"]
    assert star.count("█") > circle.count("█")


def test_every_example_names_the_api_and_its_key() -> None:
    for example in sample.examples(Deployment("http://127.0.0.1:4566/v1", "secret", False, "clip")):
        assert "http://127.0.0.1:4566/v1/classify" in example
        assert "secret" in example


def test_where_callers_sign_the_examples_sign() -> None:
    examples = sample.examples(Deployment("http://127.0.0.1:4566/v1", None, True, "clip"))
    assert [example.split()[:2] for example in examples] == [["curl", "--aws-sigv4"]] * 2


def test_the_api_tells_what_its_model_knows_and_nothing_while_it_is_not_ready(api: str) -> None:
    Api.statuses = [200, 503]
    assert sample.health(Deployment(api, "key", False, "endpoint"))["knows"] == "This model knows drawings."
    assert sample.health(Deployment(api, "key", False, "endpoint")) == {}
