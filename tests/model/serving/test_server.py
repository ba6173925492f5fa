"""The server over real HTTP: SageMaker's contract, our shapes, and the process as the container starts it."""

import base64
import hashlib
import json
import logging
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from contract.invocation import InvocationAttributes
from contract.limits import CUSTOM_ATTRIBUTES_HEADER, MAX_INVOCATION_BYTES, PROBLEM_MEDIA_TYPE
from contract.questions import Parameters
from contract.requests import ClassifyRequest, to_multipart
from contract.teaching import Lesson, embedding_bytes, head_digest
from model.serving.server import main
from model.serving.service import MAX_BODY_BYTES
from tests.model.serving.http_client import JSON, Answer, Client, as_base64, classify_body, jpeg, wait_until

REPOSITORY_ROOT = Path(__file__).parents[3]


def by_label(scores: list[dict[str, Any]]) -> dict[str, float]:
    return {each["label"]: each["score"] for each in scores}


# --- answers ---------------------------------------------------------------


def test_an_image_and_words_get_the_words_best_first(client: Client) -> None:
    answer = client.post(classify_body(as_base64(jpeg()), candidate_labels=["cat", "dog", "fish"]))
    assert answer.status == 200
    scores = [each["score"] for each in answer.json]
    assert {each["label"] for each in answer.json} == {"cat", "dog", "fish"}
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)


def test_every_encoding_gets_the_same_answer(client: Client) -> None:
    asked = Parameters(candidate_labels=["cat", "dog"], hypothesis_template="a drawing of a {}")
    content_type, form = to_multipart(ClassifyRequest([jpeg()], asked), [jpeg()])
    answers = [
        client.post(classify_body(as_base64(jpeg()), **asked.model_dump(exclude_unset=True))),
        client.post(form, content_type),
        client.post(
            jpeg(), "image/jpeg", "/invocations?candidate_labels=cat,dog&hypothesis_template=a+drawing+of+a+%7B%7D"
        ),
    ]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert len({answer.body for answer in answers}) == 1


def test_several_questions_about_one_image_are_answered_by_name(client: Client) -> None:
    tasks = {"animal": {"candidate_labels": "cat, dog"}, "place": {"candidate_labels": ["in", "out"], "top_k": 1}}
    answer = client.post(classify_body(as_base64(jpeg()), tasks=tasks)).json
    assert list(answer) == ["animal", "place"]
    assert (len(answer["animal"]), len(answer["place"])) == (2, 1)
    alone = client.post(classify_body(as_base64(jpeg()), candidate_labels="cat, dog")).json
    assert by_label(answer["animal"]) == pytest.approx(by_label(alone))


def test_in_a_list_a_bad_image_is_a_problem_in_its_place(client: Client) -> None:
    inputs = [as_base64(jpeg("red")), as_base64(b"no image"), as_base64(jpeg("blue"))]
    first, problem, last = client.post(classify_body(inputs, candidate_labels="cat, dog")).json
    assert problem["status"] == 422
    assert len(first) == len(last) == 2
    alone = client.post(classify_body(as_base64(jpeg("blue")), candidate_labels="cat, dog")).json
    assert by_label(last) == pytest.approx(by_label(alone), abs=1e-5)


def test_a_list_of_bad_images_only_is_a_list_of_problems(client: Client) -> None:
    answer = client.post(classify_body([as_base64(b"no image")], candidate_labels="cat, dog"))
    assert (answer.status, [each["status"] for each in answer.json]) == (200, [422])


def test_embeddings_are_unit_vectors_and_bad_images_problems(client: Client) -> None:
    inputs = {"images": [as_base64(jpeg()), as_base64(b"no image")], "texts": ["a cat", "a dog", "a cat"]}
    answer = client.post(json.dumps({"operation": "embed", "inputs": inputs}).encode()).json
    vector, problem = answer["images"]
    assert problem["status"] == 422
    for each in [vector, *answer["texts"]]:
        assert sum(x * x for x in each) == pytest.approx(1, abs=1e-5)
    assert answer["texts"][0] == answer["texts"][2] != answer["texts"][1]


def test_an_inspection_knows_each_image_and_the_problem_of_a_bad_one(client: Client) -> None:
    image = jpeg()
    body = {"operation": "inspect", "inputs": [as_base64(image), as_base64(b"no image")]}
    seen, problem = client.post(json.dumps(body).encode()).json
    assert (seen["sha256"], seen["media_type"]) == (hashlib.sha256(image).hexdigest(), "image/jpeg")
    assert problem["status"] == 422
    embedded = client.post(json.dumps({"operation": "embed", "inputs": {"images": [as_base64(image)]}}).encode()).json
    numbers = struct.unpack("<16f", embedding_bytes(seen["embedding"], "it"))
    assert list(numbers) == pytest.approx(embedded["images"][0], abs=1e-7)


def test_images_are_shrunk_to_be_looked_at(client: Client) -> None:
    body = {"operation": "thumbnail", "size": "64", "inputs": [as_base64(jpeg()), as_base64(b"no image")]}
    shrunk, problem = client.post(json.dumps(body).encode()).json
    assert base64.b64decode(shrunk).startswith(b"\xff\xd8\xff")
    assert problem["status"] == 422
    refused = client.post(json.dumps({**body, "size": "65"}).encode())
    assert refused.status == 400 and "allowed are 64, 256, 512" in refused.json["detail"]


def test_a_question_is_taught_and_then_asked_by_its_head(client: Client) -> None:
    colors = ["#f00", "#e10", "#f02", "#00f", "#10e", "#02f"]
    inspect = {"operation": "inspect", "inputs": [as_base64(jpeg(color)) for color in colors]}
    embeddings = [each["embedding"] for each in client.post(json.dumps(inspect).encode()).json]
    asked = {"candidate_labels": ["hot", "cold"]}
    lesson = {"operation": "teach", "question": asked, "embeddings": embeddings, "labels": [0, 0, 0, 1, 1, 1]}
    answer = client.post(json.dumps(lesson).encode())
    learnt = Lesson.model_validate(answer.json)
    assert (learnt.model_version, learnt.images, learnt.answers) == ("tiny-1", [3, 3], [0, 0, 0, 1, 1, 1])
    assert "teach" in answer.attributes.timings_ms
    body = json.loads(classify_body(as_base64(jpeg("#e02")), **asked))
    by_head = client.post(json.dumps({**body, "heads": {"": learnt.sha256}}).encode())
    assert by_head.json[0]["label"] == "hot" and by_head.attributes.heads == (learnt.sha256[:12],)
    assert client.post(json.dumps(body).encode()).attributes.heads == ()


def test_a_head_that_is_not_held_is_asked_for_by_its_name(client: Client) -> None:
    body = {**json.loads(classify_body(as_base64(jpeg()), candidate_labels="cat, dog")), "heads": {"": "a" * 64}}
    answer = client.post(json.dumps(body).encode())
    assert (answer.status, answer.json["unknown_heads"]) == (409, ["a" * 64])
    broken = b"no head at all"
    name = head_digest(broken)
    sent = {**body, "heads": {"": name}, "head_bytes": {name: as_base64(broken)}}
    answer = client.post(json.dumps(sent).encode())
    assert answer.status == 400 and "no safetensors file" in answer.json["detail"]


def test_the_answer_tells_its_version_its_timings_and_what_was_cut_off(client: Client) -> None:
    long = "word " * 50
    answer = client.post(classify_body(as_base64(jpeg()), candidate_labels=["cat", long, long + "more"]))
    assert answer.attributes.model_version == "tiny-1"
    assert (answer.attributes.truncated_prompts, answer.attributes.context_tokens) == (2, 48)
    assert {"parse", "decode", "model", "labels", "score", "total"} <= set(answer.attributes.timings_ms)


def test_many_at_once_all_get_their_own_answer(client: Client) -> None:
    colors = ["red", "lime", "blue", "white", "black"]
    bodies = [classify_body(as_base64(jpeg(color)), candidate_labels="cat, dog, fish") for color in colors]
    alone = [client.post(body).json for body in bodies]
    with ThreadPoolExecutor(10) as pool:
        together = [answer.json for answer in pool.map(client.post, bodies * 4)]
    for expected, got in zip(alone * 4, together, strict=True):
        assert by_label(got) == pytest.approx(by_label(expected))


# --- problems --------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "body", "status", "sentence"),
    [
        (JSON, b"{", 400, "not valid JSON"),
        (JSON, b"[]", 400, "must be a JSON object"),
        (JSON, classify_body("!!", candidate_labels="a, b"), 400, "not valid base64"),
        (JSON, classify_body({"s3_key": "uploads/x"}, candidate_labels="a, b"), 400, "bytes only"),
        (JSON, classify_body(as_base64(jpeg()), candidate_labels="cat"), 400, "a lone label"),
        (JSON, b'{"operation": "sing"}', 400, 'operation "sing" is unknown'),
        (JSON, classify_body(as_base64(b"hello"), candidate_labels="a, b"), 422, "not an image of a known kind"),
        ("image/jpeg", jpeg()[:300], 400, "candidate_labels is missing"),
        ("application/x-www-form-urlencoded", b"x", 415, "content-type: image/jpeg"),
        ("text/plain", b"x", 415, "allowed are application/json"),
    ],
)
def test_a_bad_request_is_told_what_to_do(
    client: Client, content_type: str, body: bytes, status: int, sentence: str
) -> None:
    answer = client.post(body, content_type)
    assert answer.status == status
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    assert sentence in answer.json["detail"]
    assert client.post(classify_body(as_base64(jpeg()), candidate_labels="a, b")).status == 200


def test_a_problem_carries_the_callers_request_id(client: Client) -> None:
    attributes = InvocationAttributes(request_id="abc-123").encode()
    answer = client.post(b"{", **{CUSTOM_ATTRIBUTES_HEADER: attributes})
    assert answer.json["instance"] == "abc-123"


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/invocation"), ("GET", "/invocations")])
def test_an_unknown_route_is_a_404_that_names_the_routes(client: Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert (answer.status, answer.headers["content-type"]) == (404, PROBLEM_MEDIA_TYPE)
    assert "POST /invocations" in answer.json["detail"]


@pytest.mark.parametrize(
    ("size", "sentence"),
    [(MAX_INVOCATION_BYTES + 1, f"{MAX_INVOCATION_BYTES:,}"), (MAX_BODY_BYTES + 1, f"{MAX_BODY_BYTES:,}")],
)
def test_too_many_bytes_are_refused_in_words_that_arrive(client: Client, size: int, sentence: str) -> None:
    answer = client.post(bytes(size), "application/octet-stream", "/invocations?candidate_labels=cat,dog")
    assert answer.status == 413
    assert f"at most {sentence} are allowed" in answer.json["detail"]


def test_a_client_that_leaves_in_the_middle_harms_nobody(client: Client) -> None:
    client.begin(classify_body(as_base64(jpeg()), candidate_labels="a, b")).leave()
    assert client.post(classify_body(as_base64(jpeg()), candidate_labels="a, b")).status == 200


def test_metrics_count_requests_stages_and_label_lookups(client: Client) -> None:
    for _ in range(2):
        client.post(classify_body(as_base64(jpeg()), candidate_labels="cat, dog"))
    page = client.request("GET", "/metrics").body.decode()
    for line in (
        r'wordsight_requests_total{status="200"} [1-9]',
        r'wordsight_stage_seconds_count{stage="model"} [1-9]',
        r'wordsight_stage_seconds_count{stage="queue"} [1-9]',
        r"wordsight_batch_images_count [1-9]",
        r'wordsight_images_decoded_total{shrunk_by="1"} [1-9]',
        r'wordsight_label_cache_lookups_total{result="miss"} [1-9]',
        r'wordsight_label_set_lookups_total{result="hit"} [1-9]',
        r"wordsight_wait_seconds 0.0",
        r"wordsight_requests_in_flight 0.0",
    ):
        assert re.search(rf"^{line}", page, re.M), line


# --- the process -----------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers_ping(client: Client) -> Answer | None:
    try:
        return client.request("GET", "/ping")
    except ConnectionError:
        return None


@pytest.mark.slow
def test_stopped_under_load_the_process_answers_all_that_it_has_admitted(checkpoint_dir: Path) -> None:
    client = Client(free_port())
    process = subprocess.Popen(
        [sys.executable, "-m", "model.serving", "serve"],
        cwd=REPOSITORY_ROOT,
        env={
            **os.environ,
            "BASE_MODEL_DIR": str(checkpoint_dir),
            "SAGEMAKER_BASE_DIR": "/nowhere",
            "SAGEMAKER_BIND_TO_PORT": str(client.port),
            "BIND_HOST": "127.0.0.1",
            "MODEL_WORKERS": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    body = classify_body(as_base64(jpeg()), candidate_labels="cat, dog")
    over = threading.Event()
    answers: list[int] = []

    def keep_asking() -> None:
        while not over.is_set():
            try:
                answers.append(client.post(body).status)
            except (OSError, HTTPException):  # the listener is closed: nothing was admitted
                return

    try:
        wait_until(lambda: (answer := answers_ping(client)) is not None and answer.status == 200, timeout_s=180)
        half_sent = [client.begin(body) for _ in range(5)]
        in_flight = re.compile(rb"^wordsight_requests_in_flight 5", re.M)
        wait_until(lambda: in_flight.search(client.request("GET", "/metrics").body) is not None)
        with ThreadPoolExecutor(8) as pool:
            for _ in range(8):
                pool.submit(keep_asking)
            wait_until(lambda: answers.count(200) > 50)
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: answers_ping(client) is None)
            over.set()
        assert [request.finish().status for request in half_sent] == [200] * 5
        output, _ = process.communicate(timeout=60)
    finally:
        over.set()
        process.kill()
    assert process.returncode == 0
    answered = Counter(line["status"] for line in map(json.loads, output.splitlines()) if line["message"] == "answered")
    assert answered == Counter(answers) + Counter({200: 5})
    assert answered.keys() <= {200, 429}
    assert as_base64(jpeg())[:40] not in output


@pytest.fixture
def _handlers_as_before() -> Iterator[None]:
    """`main` takes over a process's logging and SIGTERM."""
    root = logging.getLogger()
    handlers, level, on_sigterm = root.handlers[:], root.level, signal.getsignal(signal.SIGTERM)
    yield
    logging.captureWarnings(False)
    signal.signal(signal.SIGTERM, on_sigterm)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("_handlers_as_before")
def test_without_a_checkpoint_it_ends_and_says_which_folder_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "BASE_MODEL_DIR": str(tmp_path),
        "SAGEMAKER_BASE_DIR": "/nowhere",
        "SAGEMAKER_BIND_TO_PORT": str(free_port()),
        "BIND_HOST": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    assert main() == 1
    assert f"{tmp_path} holds no config.json" in capsys.readouterr().out


@pytest.mark.usefixtures("_handlers_as_before")
def test_a_bad_setting_ends_it_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "http")
    assert main() == 2
    assert "SAGEMAKER_BIND_TO_PORT is 'http'" in json.loads(capsys.readouterr().out)["message"]
