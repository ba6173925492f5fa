"""A bad day for the server, over real HTTP: what must not happen to anybody else, whatever one client sends."""

import io
import json
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest
import torch
from PIL import Image

from contract.limits import MAX_INVOCATION_BYTES
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from tests.model.serving.engines import build_engine
from tests.model.serving.test_server import (
    Client,
    answers_ping,
    as_base64,
    classify_body,
    free_port,
    jpeg,
    running,
    settings_for,
    start,
    wait_until,
)

QUERY = "/invocations?candidate_labels=cat,dog"
BODY = classify_body(as_base64(jpeg()), candidate_labels="cat, dog")


@pytest.fixture(scope="module")
def client(checkpoint_dir: Path):  # type: ignore[no-untyped-def]
    with running(settings_for(checkpoint_dir)) as client:
        yield client


def bomb() -> bytes:
    """100 million pixels in a few kilobytes."""
    Image.new("1", (10_000, 10_000)).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # Pillow's; the answer is what counts
@pytest.mark.parametrize(
    ("image", "status"),
    [
        (bomb(), 413),
        (jpeg()[:200], 422),
        (b"\xff\xd8" + bytes(1000), 422),
        (b"\x89PNG\r\n\x1a\n" + bytes(1000), 422),
        (bytes(MAX_INVOCATION_BYTES + 2_000_000), 413),
    ],
    ids=["a bomb", "a cut file", "half a JPEG's header", "half a PNG's header", "26 MB"],
)
def test_a_hostile_body_is_its_senders_fault_and_nobody_elses(client: Client, image: bytes, status: int) -> None:
    answer = client.post(image, "image/png", QUERY)
    assert answer.status == status
    assert answer.json["detail"]
    assert client.request("GET", "/ping").status == 200
    assert client.post(BODY).status == 200


def test_clients_that_send_slowly_keep_nobody_waiting(client: Client) -> None:
    slow = [client.begin(BODY) for _ in range(40)]
    assert client.post(BODY).status == 200
    assert client.request("GET", "/ping").status == 200
    assert {each.finish().status for each in slow} <= {200, 429}


def test_a_fault_is_shown_by_ping_and_then_ends_the_server(checkpoint_dir: Path) -> None:
    class Broken(Clip):
        def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    engine = build_engine(Broken(load_checkpoint(checkpoint_dir)))
    told: list[str] = []
    with running(
        settings_for(checkpoint_dir), lambda *_: (engine, 0.0), on_fault=told.append, fault_shown_s=0.2
    ) as client:
        assert client.request("GET", "/ping").status == 200
        assert client.post(BODY).status == 500
        assert client.request("GET", "/ping").status == 503
        wait_until(lambda: bool(told))
    assert told == [
        "the device failed: CUDA error: an illegal memory access was encountered: "
        "the process ends, so that another one takes its place"
    ]


def test_stopped_under_load_it_answers_all_that_it_has_admitted(checkpoint_dir: Path) -> None:
    client = Client(free_port())
    process = start(checkpoint_dir, SAGEMAKER_BIND_TO_PORT=str(client.port))
    over = threading.Event()
    answers: list[int] = []

    def keep_asking() -> None:
        while not over.is_set():
            try:
                answers.append(client.post(BODY).status)
            except (OSError, HTTPException):  # the listener is closed: nothing was admitted
                return

    try:
        wait_until(lambda: (answer := answers_ping(client)) is not None and answer.status == 200, timeout_s=60)
        with ThreadPoolExecutor(8) as pool:
            for _ in range(8):
                pool.submit(keep_asking)
            wait_until(lambda: answers.count(200) > 50)
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=60)
            over.set()
    finally:
        process.kill()
    assert process.returncode == 0
    answered = Counter(line["status"] for line in map(json.loads, output.splitlines()) if line["message"] == "answered")
    assert answered == Counter(answers)
    assert answered.keys() <= {200, 429}
