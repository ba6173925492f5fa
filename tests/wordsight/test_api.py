import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from wordsight.api import MAX_ATTEMPTS, MAX_PAUSE_S, Api, CommandError, RefusedError, connect

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
    (tmp_path / "url").write_text("http://127.0.0.1:1/v1\n")
    (tmp_path / "api-key").write_text("local-key\n")
    environ = {"WORDSIGHT_URL": "http://env/v1", "WORDSIGHT_API_KEY": "env-key"}
    found = [
        connect("http://flag/v1", "flag-key", environ, [tmp_path]),
        connect(None, None, environ, [tmp_path]),
        connect(None, None, {}, [tmp_path]),
    ]
    assert [(each.url, each.key) for each in found] == [
        ("http://flag/v1", "flag-key"),
        ("http://env/v1", "env-key"),
        ("http://127.0.0.1:1/v1", "local-key"),
    ]


def test_without_any_of_them_it_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="give --url and --api-key, or set WORDSIGHT_URL and WORDSIGHT_API_KEY"):
        connect(None, None, {}, [tmp_path])


def test_the_key_of_this_machine_is_not_sent_to_another_address(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("http://127.0.0.1:1/v1\n")
    (tmp_path / "api-key").write_text("local-key\n")
    assert connect("http://elsewhere/v1", None, {}, [tmp_path]).key == ""


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


def test_a_query_is_spelled_as_signatures_spell_it() -> None:
    with answering([(200, {}, b"{}")]) as (url, seen):
        Api(url, "").get("/annotations", dataset="my pets/+é~", limit=5, cursor=None)
    assert seen[0][0] == "/v1/annotations?dataset=my%20pets%2F%2B%C3%A9~&limit=5"


def test_a_refusal_has_its_status() -> None:
    answer = (403, {}, b'{"detail": "the key is wrong"}')
    with answering([answer]) as (url, _), pytest.raises(RefusedError, match="the key is wrong") as refused:
        Api(url, "").get("/models")
    assert refused.value.status == 403


@pytest.mark.parametrize(
    "said, waited_s", [("100000", MAX_PAUSE_S), ("-3", 0.0), ("nan", 2.0), ("Wed, 21 Oct 2026", 2.0)]
)
def test_what_is_said_of_when_to_try_again_is_believed_within_bounds(said: str, waited_s: float) -> None:
    pauses_s: list[float] = []
    with answering([(429, {"retry-after": said}, b"{}"), (200, {}, b"{}")]) as (url, _):
        Api(url, "k", pauses_s.append).get("/health")
    assert pauses_s == [waited_s]


def test_a_folder_of_somebody_elses_leads_to_no_other_machine(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://elsewhere.example/v1\n")
    (tmp_path / "api-key").write_text("key\n")
    with pytest.raises(CommandError, match="is not on this machine: give it by --url"):
        connect(None, None, {}, [tmp_path / "absent", tmp_path])


def test_a_key_that_no_header_holds_is_refused_by_its_name() -> None:
    with pytest.raises(CommandError, match="allowed are visible ASCII characters: set WORDSIGHT_API_KEY anew"):
        connect("http://127.0.0.1:1/v1", "ключ\n", {})


def test_who_gives_no_key_is_told_of_both_ways_in() -> None:
    answer = (403, {}, b'{"detail": "the request is not signed"}')
    with answering([answer]) as (url, _), pytest.raises(CommandError) as refused:
        Api(url, "").get("/models")
    assert "the request is not signed (no API key was given: set WORDSIGHT_API_KEY" in str(refused.value)
    assert "pip install botocore" in str(refused.value)


def test_a_paused_stage_is_not_asked_again() -> None:
    pauses_s: list[float] = []
    paused = b'{"detail": "the stage is paused since noon", "state": "paused"}'
    with (
        answering([(503, {"retry-after": "60"}, paused)]) as (url, seen),
        pytest.raises(RefusedError, match="the stage is paused since noon"),
    ):
        Api(url, "key", pauses_s.append).get("/health")
    assert (len(seen), pauses_s) == (1, [])
