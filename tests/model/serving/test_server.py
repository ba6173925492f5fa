"""The server over real HTTP: SageMaker's contract, our shapes, and what a bad day looks like."""

import base64
import hashlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import torch
import uvicorn
from PIL import Image

from contract.containers import ServeSettings
from contract.invocation import AnswerAttributes, InvocationAttributes
from contract.limits import CUSTOM_ATTRIBUTES_HEADER, MAX_INVOCATION_BYTES, PROBLEM_MEDIA_TYPE
from contract.questions import Parameters
from contract.requests import ClassifyRequest, to_multipart
from model.clip.checkpoint import Checkpoint, load_checkpoint
from model.clip.encode import Clip, TextEmbedding
from model.serving.engine import Engine
from model.serving.observe import Metrics
from model.serving.server import create_app
from model.serving.service import MAX_BODY_BYTES, Load, Service, load_engine
from tests.model.serving.engines import build_engine

REPOSITORY_ROOT = Path(__file__).parents[3]
JSON = "application/json"


def jpeg(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(buffer, "JPEG")
    return buffer.getvalue()


def as_base64(image: bytes) -> str:
    return base64.b64encode(image).decode()


def by_label(scores: list[dict[str, Any]]) -> dict[str, float]:
    return {each["label"]: each["score"] for each in scores}


def classify_body(inputs: object, **parameters: object) -> bytes:
    return json.dumps({"inputs": inputs, "parameters": parameters}).encode()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def attributes(self) -> AnswerAttributes:
        return AnswerAttributes.decode(self.headers.get(CUSTOM_ATTRIBUTES_HEADER.lower()))


@dataclass(frozen=True)
class Client:
    port: int

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            return self._answer(connection)
        finally:
            connection.close()

    def post(self, body: bytes, content_type: str = JSON, path: str = "/invocations", **headers: str) -> Answer:
        return self.request("POST", path, body, {"content-type": content_type, **headers})

    def begin(self, body: bytes, content_type: str = JSON) -> "HalfSent":
        return HalfSent(self.port, body, content_type)

    @staticmethod
    def _answer(connection: HTTPConnection) -> Answer:
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


class HalfSent:
    """A request whose second half waits until `finish`: the server has taken it and can't answer yet."""

    def __init__(self, port: int, body: bytes, content_type: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self._connection.putrequest("POST", "/invocations")
        self._connection.putheader("content-type", content_type)
        self._connection.putheader("content-length", str(len(body)))
        self._connection.endheaders(body[: len(body) // 2])
        self._rest = body[len(body) // 2 :]

    def send_rest(self) -> None:
        self._connection.send(self._rest)

    def finish(self) -> Answer:
        self.send_rest()
        try:
            return Client._answer(self._connection)
        finally:
            self._connection.close()

    def leave(self) -> None:
        self._connection.close()


@contextmanager
def running(settings: ServeSettings, load: Load = load_engine, wait: bool = True, **watch: Any) -> Iterator[Client]:
    """A server on a free port, in a thread of this process, with `wait` ready unless it can't be."""
    listener = socket.create_server(("127.0.0.1", 0))
    loaded = threading.Event()
    app = create_app(Service(settings, load), lambda task: loaded.set(), **watch)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        assert not wait or loaded.wait(30)
        yield Client(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


def settings_for(checkpoint_dir: Path, **options: Any) -> ServeSettings:
    return ServeSettings(base_model_dir=checkpoint_dir, model_dir=Path("/nowhere"), model_workers=1, **options)


@pytest.fixture(scope="module")
def client(checkpoint_dir: Path) -> Iterator[Client]:
    with running(settings_for(checkpoint_dir, queue_budget_ms=60_000)) as client:
        yield client


def wait_until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "this never came true"
        time.sleep(0.01)


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
        (JSON, b'{"operation": "sing"}', 400, "operation 'sing' is unknown"),
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


def test_an_answer_nobody_waits_for_is_given_up(client: Client) -> None:
    attributes = InvocationAttributes(deadline_epoch_ms=int(time.time() * 1000) - 1).encode()
    answer = client.post(
        classify_body(as_base64(jpeg()), candidate_labels="a, b"), **{CUSTOM_ATTRIBUTES_HEADER: attributes}
    )
    assert answer.status == 504


def test_a_deadline_beyond_all_time_is_none(client: Client) -> None:
    attributes = f"deadline_epoch_ms={'9' * 400}"
    answer = client.post(
        classify_body(as_base64(jpeg()), candidate_labels="a, b"), **{CUSTOM_ATTRIBUTES_HEADER: attributes}
    )
    assert answer.status == 200


def test_a_client_that_leaves_in_the_middle_harms_nobody(client: Client) -> None:
    client.begin(classify_body(as_base64(jpeg()), candidate_labels="a, b")).leave()
    assert client.post(classify_body(as_base64(jpeg()), candidate_labels="a, b")).status == 200


def test_it_listens_before_the_model_is_loaded_and_says_so(checkpoint_dir: Path) -> None:
    gate = threading.Event()

    def load(settings: ServeSettings, metrics: Metrics) -> tuple[Engine, float] | str:
        assert gate.wait(30)
        return load_engine(settings, metrics)

    with running(settings_for(checkpoint_dir), load, wait=False) as client:
        ping = client.request("GET", "/ping")
        assert (ping.status, ping.json["detail"]) == (503, "the model is loading")
        answer = client.post(classify_body(as_base64(jpeg()), candidate_labels="cat, dog"))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        gate.set()
        wait_until(lambda: client.request("GET", "/ping").status == 200)


class Gated:
    """Towers whose one worker waits at a gate with images."""

    batch_sizes = (1, 2, 3, 4)

    def __init__(self, clip: Clip) -> None:
        self.workers = [self._embed]
        self.embed_texts = clip.embed_texts
        self.gate = threading.Event()
        self.batches: list[int] = []
        self._clip = clip

    def _embed(self, pixels: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(pixels))
        assert self.gate.wait(30)
        return self._clip.embed_images(pixels)


@contextmanager
def gated(checkpoint_dir: Path, s_per_image: float, **options: Any) -> Iterator[tuple[Client, Gated]]:
    """A server that answers nothing until the gate is open, and thinks that an image takes so many seconds."""
    tower = Gated(clip := Clip(load_checkpoint(checkpoint_dir)))

    def load(_: ServeSettings, metrics: Metrics) -> tuple[Engine, float]:
        return build_engine(clip, tower, metrics), s_per_image

    with running(settings_for(checkpoint_dir, **options), load) as client:
        try:
            yield client, tower
        finally:
            tower.gate.set()


def gauge(client: Client, name: str) -> float:
    found = re.search(rb"^wordsight_%b (\S+)" % re.escape(name).encode(), client.request("GET", "/metrics").body, re.M)
    assert found, name
    return float(found[1])


def test_who_would_wait_too_long_is_told_so_at_once_and_everybody_else_is_answered(checkpoint_dir: Path) -> None:
    body = classify_body(as_base64(jpeg()), candidate_labels="cat, dog")
    with gated(checkpoint_dir, s_per_image=0.4) as (client, tower), ThreadPoolExecutor(2) as pool:
        taken = []
        for number in (1, 2):  # the second waits 0.4 s, a third would wait 0.8 s
            taken.append(pool.submit(client.post, body))
            wait_until(lambda number=number: gauge(client, "images_in_flight") == number)
        refused = client.post(body)
        assert (refused.status, refused.json["retry_after_s"], refused.headers["retry-after"]) == (429, 1, "1")
        assert "2 images wait for the model, which takes about 0.8 s, and more than 0.5 s" in refused.json["detail"]
        assert client.request("GET", "/ping").status == 200
        tower.gate.set()
        assert [answer.result().status for answer in taken] == [200, 200]
        assert client.post(body).status == 200
        assert b'wordsight_refusals_total{reason="wait"} 1.0' in client.request("GET", "/metrics").body


def test_bodies_that_would_not_fit_into_memory_together_are_refused(checkpoint_dir: Path) -> None:
    body = classify_body(as_base64(jpeg()), candidate_labels="cat, dog")
    with gated(checkpoint_dir, 0, max_bytes_in_flight=2 * len(body) - 1) as (client, tower):
        taken = client.begin(body)
        wait_until(lambda: gauge(client, "bytes_in_flight") == len(body))
        refused = client.post(body)
        assert refused.status == 429
        assert f"{len(body):,} bytes of other requests are in memory" in refused.json["detail"]
        tower.gate.set()
        assert taken.finish().status == 200
        assert gauge(client, "bytes_in_flight") == 0


def test_images_that_wait_together_are_one_batch(checkpoint_dir: Path) -> None:
    body = classify_body(as_base64(jpeg()), candidate_labels="cat, dog")
    with gated(checkpoint_dir, 0) as (client, tower), ThreadPoolExecutor(4) as pool:
        first = pool.submit(client.post, body)
        wait_until(lambda: tower.batches == [1])
        others = [pool.submit(client.post, body) for _ in range(3)]
        wait_until(lambda: gauge(client, 'images_decoded_total{shrunk_by="1"}') == 4)
        time.sleep(0.1)  # from its decoder an image is handed to the queue
        tower.gate.set()
        assert [answer.result().status for answer in (first, *others)] == [200] * 4
        assert tower.batches == [1, 3]


def test_work_whose_client_has_left_is_not_begun(checkpoint_dir: Path) -> None:
    body = classify_body(as_base64(jpeg()), candidate_labels="cat, dog")
    with gated(checkpoint_dir, 0) as (client, tower), ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, body)
        wait_until(lambda: tower.batches == [1])
        leaving = client.begin(body)
        leaving.send_rest()
        wait_until(lambda: gauge(client, "images_in_flight") == 2)
        leaving.leave()
        wait_until(lambda: gauge(client, "images_in_flight") == 1)
        tower.gate.set()
        assert first.result().status == 200
        assert client.post(body).status == 200
        assert tower.batches == [1, 1]
        assert b'wordsight_requests_total{status="499"} 1.0' in client.request("GET", "/metrics").body


class SlowReader(Clip):
    """Reads texts only when its gate is open."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.gate = threading.Event()
        self.asked: list[str] = []

    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        self.asked.extend(texts)
        assert self.gate.wait(30)
        return super().embed_texts(texts)


def test_labels_that_take_too_long_are_a_429_and_then_found_ready(checkpoint_dir: Path) -> None:
    body = classify_body(as_base64(jpeg()), candidate_labels="cat, dog")
    clip = SlowReader(load_checkpoint(checkpoint_dir))
    engine = build_engine(clip, label_cache_rows=2)
    with running(settings_for(checkpoint_dir), lambda *_: (engine, 0.0)) as client:
        attributes = InvocationAttributes(deadline_epoch_ms=int(time.time() * 1000) + 5000).encode()
        answer = client.post(body, **{CUSTOM_ATTRIBUTES_HEADER: attributes})
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert "2 new label texts" in answer.json["detail"]
        more = client.post(classify_body(as_base64(jpeg()), candidate_labels="cat, fish"))
        assert (more.status, more.headers["retry-after"]) == (429, "1")
        assert "1 new ones make more than the 2" in more.json["detail"]
        assert client.request("GET", "/ping").status == 200
        clip.gate.set()
        assert client.post(body).status == 200
        assert clip.asked == ["This is a photo of cat.", "This is a photo of dog."]


class BrokenDevice(Clip):
    """Fails the way a CUDA device does that will never come back."""

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


def test_a_device_that_failed_is_a_500_and_makes_the_server_unhealthy(checkpoint_dir: Path) -> None:
    engine = build_engine(BrokenDevice(load_checkpoint(checkpoint_dir)))
    with running(settings_for(checkpoint_dir), lambda *_: (engine, 0.0)) as client:
        assert client.request("GET", "/ping").status == 200
        answer = client.post(classify_body(as_base64(jpeg()), candidate_labels="cat, dog"))
        assert (answer.status, answer.headers["content-type"]) == (500, PROBLEM_MEDIA_TYPE)
        assert "illegal memory" not in answer.json["detail"]
        ping = client.request("GET", "/ping")
        assert (ping.status, "illegal memory access" in ping.json["detail"]) == (503, True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_expected_and_absent_makes_the_server_unhealthy(checkpoint_dir: Path) -> None:
    with running(settings_for(checkpoint_dir, expect_gpu=True)) as client:
        ping = client.request("GET", "/ping")
        assert (ping.status, "InferenceAmiVersion" in ping.json["detail"]) == (503, True)
        answer = client.post(classify_body(as_base64(jpeg()), candidate_labels="cat, dog"))
        assert (answer.status, answer.json["detail"]) == (503, ping.json["detail"])


def test_the_checkpoint_in_the_model_folder_comes_before_the_base(
    checkpoint_dir: Path, calibrated_checkpoint_dir: Path
) -> None:
    settings = ServeSettings(base_model_dir=checkpoint_dir, model_dir=calibrated_checkpoint_dir, model_workers=1)
    with running(settings) as client:
        answer = client.post(classify_body(as_base64(jpeg()), candidate_labels="cat, dog"))
        assert answer.attributes.model_version == "tiny-2"


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


def start(checkpoint_dir: Path, **environment: str) -> subprocess.Popen[str]:
    """`python -m model.serving serve` as the container starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "model.serving", "serve"],
        cwd=REPOSITORY_ROOT,
        env={
            **os.environ,
            "BASE_MODEL_DIR": str(checkpoint_dir),
            "SAGEMAKER_BASE_DIR": "/nowhere",
            "BIND_HOST": "127.0.0.1",
            "MODEL_WORKERS": "1",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers_ping(client: Client) -> Answer | None:
    try:
        return client.request("GET", "/ping")
    except ConnectionError:
        return None


def test_it_is_healthy_when_loaded_and_loses_nothing_when_stopped(checkpoint_dir: Path) -> None:
    client = Client(free_port())
    process = start(checkpoint_dir, SAGEMAKER_BIND_TO_PORT=str(client.port))
    try:
        wait_until(lambda: (answer := answers_ping(client)) is not None and answer.status == 200, timeout_s=60)

        body = classify_body(as_base64(jpeg()), candidate_labels="cat, dog")
        taken = [client.begin(body) for _ in range(5)]
        in_flight = re.compile(rb"^wordsight_requests_in_flight 5", re.M)
        wait_until(lambda: in_flight.search(client.request("GET", "/metrics").body) is not None)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: answers_ping(client) is None)
        assert [request.finish().status for request in taken] == [200] * 5
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        process.kill()
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["status"] for line in lines if line["message"] == "answered"] == [200] * 5
    assert as_base64(jpeg())[:40] not in output


def test_without_a_checkpoint_it_ends_and_says_which_folder_is_empty(tmp_path: Path) -> None:
    process = start(tmp_path, SAGEMAKER_BIND_TO_PORT=str(free_port()))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"{tmp_path} holds no config.json" in output


def test_a_bad_setting_ends_it_with_a_sentence(checkpoint_dir: Path) -> None:
    process = start(checkpoint_dir, SAGEMAKER_BIND_TO_PORT="http")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "SAGEMAKER_BIND_TO_PORT is 'http'" in json.loads(output)["message"]
