"""The service on a bad day: it refuses in time, gives up in time, and says when it is not well."""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import torch

from contract.containers import ServeSettings
from contract.forms import write_form
from contract.invocation import InvocationAttributes
from contract.limits import CUSTOM_ATTRIBUTES_HEADER, PROBLEM_MEDIA_TYPE
from model.clip.checkpoint import Checkpoint, load_checkpoint
from model.clip.encode import Clip
from model.clip.processing import TextEmbedding
from model.serving.engine import Engine
from model.serving.observe import Metrics
from tests.model.serving.engines import build_engine
from tests.model.serving.http_client import Client, as_base64, classify_body, jpeg, running, settings_for, wait_until


def test_it_listens_before_the_model_is_loaded_and_says_so(checkpoint_dir: Path) -> None:
    gate = threading.Event()

    def load(settings: ServeSettings, metrics: Metrics) -> tuple[Engine, float] | str:
        assert gate.wait(30)
        return build_engine(checkpoint_dir), 0.0

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


class Noting:
    """An engine that notes which requests it is told are short."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.short: list[bool] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def answer(self, *told: Any, is_short: bool) -> bytes:
        self.short.append(is_short)
        return await self._engine.answer(*told, is_short=is_short)


def test_a_request_is_short_if_it_has_little_beside_a_small_image(checkpoint_dir: Path) -> None:
    engine = Noting(build_engine(checkpoint_dir))
    few, many = (",".join(f"label {number}" for number in range(count)) for count in (10, 300))
    small, large = jpeg(), jpeg() + bytes(300_000)
    with running(settings_for(checkpoint_dir), lambda settings, metrics: (engine, 0.0)) as client:
        for images, labels in (([small], few), ([small], many), ([large], few), ([small, small], few)):
            kind, body = write_form({"candidate_labels": labels}, [("image", image) for image in images])
            assert client.post(body, kind).status == 200
        empty = {f"thresholds[{number}]": "" for number in range(20)}
        kind, body = write_form({"candidate_labels": few, **empty}, [("image", small)])
        client.post(body, kind)
        for labels in (few, many):
            asked = f"/invocations?candidate_labels={quote(labels)}"
            assert client.post(small, "image/jpeg", asked).status == 200
            assert client.post(classify_body(as_base64(small), candidate_labels=labels)).status == 200
    assert engine.short == [True, False, False, False, False, True, False, False, False]


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
        attributes = InvocationAttributes(deadline_epoch_ms=int(time.time() * 1000) + 2000).encode()
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


def test_a_clock_that_is_an_hour_ahead_of_the_callers_gives_nothing_up(client: Client) -> None:
    attributes = InvocationAttributes(deadline_epoch_ms=int(time.time() * 1000) - 3_600_000).encode()
    answer = client.post(
        classify_body(as_base64(jpeg()), candidate_labels="a, b"), **{CUSTOM_ATTRIBUTES_HEADER: attributes}
    )
    assert answer.status == 200
