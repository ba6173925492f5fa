import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from contract.forms import read_fields
from contract.limits import API_KEY_HEADER, MAX_IMAGES, MAX_INLINE_IMAGE_BYTES, MAX_INVOCATION_BYTES
from wordsight.api import MAX_ATTEMPTS, Api, CommandError, RefusedError, connect, image_chunks, image_source

Answers = list[tuple[int, dict[str, str], bytes]]
Seen = list[tuple[str, dict[str, str], bytes]]


@contextmanager
def answering(answers: Answers) -> Iterator[tuple[str, Seen]]:
    """A server that gives these answers one after the other, the last one for ever; and what it was asked."""
    seen: Seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, headers, content = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Keep the tests' output to the tests."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/", seen
        finally:
            server.shutdown()
            serving.join()


def test_flags_come_before_the_environment_and_that_before_what_runs_here(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("http://local/v1\n")
    (tmp_path / "api-key").write_text("local-key\n")
    environ = {"WORDSIGHT_URL": "http://env/v1", "WORDSIGHT_API_KEY": "env-key"}
    found = [
        connect("http://flag/v1", "flag-key", environ, tmp_path),
        connect(None, None, environ, tmp_path),
        connect(None, None, {}, tmp_path),
    ]
    assert [(each.url, each.key) for each in found] == [
        ("http://flag/v1", "flag-key"),
        ("http://env/v1", "env-key"),
        ("http://local/v1", "local-key"),
    ]


def test_without_any_of_them_it_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="give --url and --api-key, or set WORDSIGHT_URL and WORDSIGHT_API_KEY"):
        connect(None, None, {}, tmp_path)


def test_the_key_of_this_machine_is_not_sent_to_another_address(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("http://local/v1\n")
    (tmp_path / "api-key").write_text("local-key\n")
    assert connect("http://elsewhere/v1", None, {}, tmp_path).key == ""


def test_what_is_too_much_at_once_is_sent_again_with_the_same_idempotency_key() -> None:
    pauses_s: list[float] = []
    with answering([(503, {"retry-after": "7"}, b"{}"), (429, {}, b"{}"), (201, {}, b'{"id": 1}')]) as (url, seen):
        assert Api(url, "k", pauses_s.append).create("/uploads", {}) == {"id": 1}
    assert pauses_s == [7.0, 2.0]
    assert {path for path, _, _ in seen} == {"/v1/uploads"}
    assert len({headers["idempotency-key"] for _, headers, _ in seen}) == 1


def test_what_stays_too_much_is_said() -> None:
    pauses_s: list[float] = []
    answer: Answers = [(503, {}, b'{"detail": "the model is not ready"}')]
    with answering(answer) as (url, seen), pytest.raises(CommandError, match="the model is not ready"):
        Api(url, "k", pauses_s.append).get("/health")
    assert len(seen) == MAX_ATTEMPTS == len(pauses_s) + 1


@pytest.mark.parametrize(
    "answer, sentence",
    [
        ((404, {}, b"<html>"), "404 Not Found: this does not look like the API's own answer"),
        ((403, {}, b'{"message": "Forbidden"}'), "403 Forbidden"),
        ((200, {}, b"<html>"), "its answer is no JSON"),
    ],
)
def test_what_is_not_the_api_is_told_from_it(answer: tuple[int, dict[str, str], bytes], sentence: str) -> None:
    with answering([answer]) as (url, _), pytest.raises(CommandError, match=sentence):
        Api(url, "k").get("/health")


@pytest.mark.parametrize(
    "url, sentence",
    [("http://127.0.0.1:1/v1", r"nothing answers at 127\.0\.0\.1:1"), ("file:///etc/passwd", "begins with https://")],
)
def test_an_address_where_no_api_is_is_named(url: str, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        Api(url, "k").get("/health")


def test_images_are_sent_in_their_order_as_many_at_once_as_a_request_may_have() -> None:
    small, large = b"1", bytes(MAX_INLINE_IMAGE_BYTES)
    sizes = [len(chunk) for chunk in image_chunks(enumerate([small] * (MAX_IMAGES + 1)))]
    assert sizes == [MAX_IMAGES, 1]
    chunks = list(image_chunks(enumerate([large, small, large])))
    assert [[number for number, _ in chunk] for chunk in chunks] == [[0], [1], [2]]
    assert list(image_chunks([])) == []


def test_an_image_too_large_for_a_request_is_uploaded_by_the_form_it_gets() -> None:
    image = bytes(MAX_INLINE_IMAGE_BYTES + 1)
    answers: Answers = []
    with answering(answers) as (url, seen):
        form = f'{{"uploads": [{{"url": "{url}bucket", "fields": {{"key": "uploads/1"}}, "s3_key": "uploads/1"}}]}}'
        answers += [(201, {}, form.encode()), (204, {}, b"")]
        assert image_source(Api(url, "k"), image) == {"s3_key": "uploads/1"}
    path, headers, body = seen[-1]
    assert path == "/v1/bucket" and API_KEY_HEADER not in headers
    # the contract calls a file `image`, S3 calls it `file`, and wants it last
    sent, fields = read_fields(headers["content-type"], body.replace(b'name="file"', b'name="image"'), {})
    assert (sent, fields) == ([image], {"key": ["uploads/1"]})


def test_an_image_too_large_for_the_model_is_refused_before_it_is_sent() -> None:
    with pytest.raises(CommandError, match="at most 24,000,000 are taken"):
        image_source(Api("http://127.0.0.1:1", "k"), bytes(MAX_INVOCATION_BYTES + 1))


def test_a_query_is_spelled_as_signatures_spell_it() -> None:
    with answering([(200, {}, b"{}")]) as (url, seen):
        Api(url, "").get("/annotations", dataset="my pets/+é~", limit=5, cursor=None)
    assert seen[0][0] == "/v1/annotations?dataset=my%20pets%2F%2B%C3%A9~&limit=5"


def test_a_refusal_has_its_status() -> None:
    answer = (403, {}, b'{"detail": "the key is wrong"}')
    with answering([answer]) as (url, _), pytest.raises(RefusedError, match="the key is wrong") as refused:
        Api(url, "").get("/models")
    assert refused.value.status == 403
