"""The server as a Lambda function, before a stand-in for Lambda: it answers what the HTTP server does."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.serving.runtime_api import FakeRuntimeApi, runtime_api
from contract.containers import FunctionSettings
from contract.invocation import AnswerAttributes, InvocationAttributes
from contract.limits import CUSTOM_ATTRIBUTES_HEADER
from contract.serving_function import MAX_PAYLOAD_BYTES, Invocation, Invoked
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.processing import TextEmbedding
from model.serving.function import RuntimeApi, answer, answer_invocations, serve
from model.serving.service import Service
from model.serving.towers.torch import TorchTowers
from tests.model.serving.engines import build_engine
from tests.model.serving.http_client import JSON, Client, as_base64, classify_body, jpeg, settings_for

REPOSITORY_ROOT = Path(__file__).parents[3]
ASKED = InvocationAttributes("request-1").encode()
QUESTION = classify_body(as_base64(jpeg()), candidate_labels=["asked in vain", "only here", "of a function"])
"""Nobody else asks by these labels: read in one batch with others they would differ in the last bit."""


@pytest.fixture(scope="module")
def api(checkpoint_dir: Path, calibrated_checkpoint_dir: Path) -> Iterator[FakeRuntimeApi]:
    """With a function that serves what the package's `client` does."""
    settings = FunctionSettings(
        base_model_dir=calibrated_checkpoint_dir, model_dir=checkpoint_dir, model_workers=1, queue_budget_ms=60_000
    )
    ends: list[BaseException] = []

    def run(host_and_port: str) -> None:
        try:
            asyncio.run(serve(settings, RuntimeApi(host_and_port)))
        except OSError as error:
            ends.append(error)

    with runtime_api() as api:
        function = threading.Thread(target=run, args=(api.host_and_port,))
        function.start()
        yield api
        api.ended.set()
        function.join(30)
    assert "answered GET invocation/next with 410: b'no more'" in str(ends[0]), "it ends where Lambda makes no sense"


def http(client: Client, body: bytes, content_type: str = JSON) -> Invoked:
    """What the HTTP server answers, as the function would."""
    answered = client.post(body, content_type, **{CUSTOM_ATTRIBUTES_HEADER: ASKED})
    return Invoked(
        status=answered.status,
        content_type=answered.headers["content-type"],
        custom_attributes=answered.headers[CUSTOM_ATTRIBUTES_HEADER.lower()],
        body=answered.body.decode(),
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (QUESTION, 200),
        (
            json.dumps(
                {"operation": "embed", "inputs": {"images": [as_base64(jpeg("blue"))], "texts": ["ü, and only here"]}}
            ).encode(),
            200,
        ),
        (classify_body(as_base64(jpeg()), candidate_labels=["cat"]), 400),
        (classify_body(as_base64(b"GIF89a"), candidate_labels=["cat", "dog"]), 422),
    ],
)
def test_it_answers_what_the_http_server_does_to_the_bit(
    api: FakeRuntimeApi, client: Client, body: bytes, status: int
) -> None:
    ours, theirs = api.invoke(body, custom_attributes=ASKED), http(client, body)
    told = [AnswerAttributes.decode(each.custom_attributes) for each in (ours, theirs)]
    assert (ours.status, ours.content_type, ours.body) == (status, theirs.content_type, theirs.body)
    assert told[0].model_version == told[1].model_version
    assert told[0].context_tokens == told[1].context_tokens
    assert told[0].timings_ms.keys() == told[1].timings_ms.keys()


def test_a_problem_is_handed_through_with_its_sentence_and_the_requests_id(api: FakeRuntimeApi) -> None:
    problem = json.loads(
        api.invoke(classify_body(as_base64(b"x"), candidate_labels="a, b"), custom_attributes=ASKED).body
    )
    assert problem["instance"] == "request-1" and "image" in problem["detail"]


def test_an_event_that_is_no_invocation_is_a_problem_too(api: FakeRuntimeApi) -> None:
    told = Invoked.model_validate_json(api.invoke_raw(b'{"body": "", "key1": "value1"}'))
    assert told.status == 400
    assert json.loads(told.body)["detail"] == "content_type: is missing; key1: is not a known field"


def answered(app: ASGIApp) -> Invoked:
    event = Invocation.of(JSON, "", b"{}").model_dump_json().encode()
    return Invoked.model_validate_json(asyncio.run(answer(app, event)))


async def _long(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'"' * (MAX_PAYLOAD_BYTES // 2)})


def test_an_answer_that_lambda_would_not_hand_back_is_a_problem_of_the_request() -> None:
    told = answered(_long)
    assert told.status == 400
    assert "bytes, at most 6,291,456 can be returned: set top_k" in json.loads(told.body)["detail"]


async def _dead(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("a fault of ours")


def test_a_fault_of_ours_is_answered_without_its_words() -> None:
    told = answered(_dead)
    assert told.status == 500 and "a fault of ours" not in told.body


class _SlowReader(TorchTowers):
    """Reads texts when it is let to, and says when it has."""

    def __init__(self, clip: Clip) -> None:
        super().__init__(clip, workers=1)
        self._read, self.may, self.has = clip.embed_texts, threading.Event(), threading.Event()
        self.embed_texts = self.read

    def read(self, texts: Sequence[str]) -> list[TextEmbedding]:
        assert self.may.wait(30)
        found = self._read(texts)
        self.has.set()
        return found


def test_the_next_invocation_is_asked_for_when_nothing_is_under_way(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    towers = _SlowReader(clip)
    service = Service(settings_for(checkpoint_dir), lambda settings, metrics: (build_engine(clip, towers), 0.01))

    async def run(host_and_port: str) -> None:
        await service.load()
        with pytest.raises(OSError, match="no more"):
            await answer_invocations(service, RuntimeApi(host_and_port))

    with runtime_api() as api:
        function = threading.Thread(target=lambda: asyncio.run(run(api.host_and_port)))
        function.start()
        api.asked_for.get(timeout=30)
        soon = InvocationAttributes(deadline_epoch_ms=int(time.time() * 1000) + 500)
        texts = json.dumps({"operation": "embed", "inputs": {"texts": ["rain"]}}).encode()
        told = api.invoke(texts, custom_attributes=soon.encode())
        assert (told.status, towers.has.is_set()) == (429, False), "nobody waits for the labels any more"
        towers.may.set()
        api.asked_for.get(timeout=30)
        assert towers.has.is_set()
        api.ended.set()
        function.join(30)


def program(api: FakeRuntimeApi, checkpoint: Path, *before: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "AWS_LAMBDA_RUNTIME_API": api.host_and_port,
        "BASE_MODEL_DIR": str(checkpoint),
        "SAGEMAKER_BASE_DIR": "/nowhere",
        "MODEL_WORKERS": "1",
    }
    command = [*before, sys.executable, "-m", "model.serving", "function"]
    return subprocess.Popen(command, cwd=REPOSITORY_ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def test_a_model_that_can_not_be_loaded_is_told_as_an_error_of_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with runtime_api() as api:
        fault = asyncio.run(serve(FunctionSettings(base_model_dir=tmp_path), RuntimeApi(api.host_and_port)))
        outcome = api.outcomes.get(timeout=1)
        told = json.loads(outcome.payload)
        assert fault == "the model can't be loaded"
        assert told["errorMessage"].startswith(f"{tmp_path} holds no config.json")
        assert told["errorMessage"] in caplog.text
        assert (told["errorType"], outcome.error_type) == ("CheckpointError", "Runtime.CheckpointError")
        assert api.asked_for.empty()


def test_a_gpu_that_is_expected_is_missed_at_the_start(checkpoint_dir: Path) -> None:
    settings = FunctionSettings(base_model_dir=checkpoint_dir, model_dir=Path("/nowhere"), expect_gpu=True)
    with runtime_api() as api:
        assert "a GPU is expected" in asyncio.run(serve(settings, RuntimeApi(api.host_and_port)))
        assert "a GPU is expected" in json.loads(api.outcomes.get(timeout=1).payload)["errorMessage"]
        assert api.asked_for.empty()


@pytest.mark.slow
def test_the_program_needs_no_shared_memory_of_the_system(checkpoint_dir: Path, client: Client) -> None:
    """Lambda has no /dev/shm; here it is made one that nobody can write to."""
    without = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o ro none /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*without, "true"], capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    with runtime_api() as api:
        process = program(api, checkpoint_dir, *without)
        assert api.invoke(QUESTION, custom_attributes=ASKED).body == http(client, QUESTION).body
        api.ended.set()
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and "no more" in said


def test_outside_of_lambda_it_says_what_to_start() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "model.serving", "function"],
        cwd=REPOSITORY_ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "AWS_LAMBDA_RUNTIME_API is not set" in done.stdout + done.stderr
