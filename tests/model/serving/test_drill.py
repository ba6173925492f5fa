"""A bad day for the server, over real HTTP: what must not happen to anybody else, whatever one client sends."""

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from contract.limits import MAX_INVOCATION_BYTES
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from tests.model.serving.engines import build_engine
from tests.model.serving.http_client import Client, as_base64, classify_body, jpeg, running, settings_for, wait_until

QUERY = "/invocations?candidate_labels=cat,dog"
BODY = classify_body(as_base64(jpeg()), candidate_labels="cat, dog")


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


@pytest.mark.slow
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
