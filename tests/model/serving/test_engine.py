"""The engine: what needs no device, and how it knows that its device will not come back."""

import asyncio
import io
import json
import threading
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from model.checkpoint import Checkpoint, load_checkpoint
from model.contract import BadRequest, EmbedRequest, InspectRequest
from model.inference import Clip, TextEmbedding
from model.serving.engine import Engine
from model.serving.trace import Trace


class SilentDevice(Clip):
    """Says nothing until it is let go."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.let_go = threading.Event()

    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        assert self.let_go.wait(30)
        return super().embed_texts(texts)


def test_a_device_that_makes_no_progress_is_a_fault_until_it_does(checkpoint_dir: Path) -> None:
    async def scenario() -> None:
        clip = SilentDevice(load_checkpoint(checkpoint_dir))
        engine = Engine(clip, decode_threads=1, label_cache_rows=10, wedged_s=0.01)
        assert engine.fault is None
        answer = asyncio.create_task(engine.answer(EmbedRequest([], ["a cat"]), Trace()))
        async with asyncio.timeout(30):
            while engine.fault is None:
                await asyncio.sleep(0.01)
        assert engine.fault == "the model has made no progress for more than 0.01 s"
        clip.let_go.set()
        await answer
        assert engine.fault is None

    asyncio.run(scenario())


def test_a_request_of_texts_alone_needs_no_image(checkpoint_dir: Path) -> None:
    engine = Engine(Clip(load_checkpoint(checkpoint_dir)), decode_threads=1, label_cache_rows=10)
    trace = Trace()
    assert asyncio.run(engine.answer(EmbedRequest([], ["a cat"]), trace)).startswith(b'{"images":[],"texts":[[')
    assert trace.open_stages == set()
    assert {"decode", "labels", "render"} <= set(trace.durations_ms)


def test_inspections_keep_the_places_of_their_images_and_need_no_device(checkpoint_dir: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(file := io.BytesIO(), "PNG")
    png = file.getvalue()
    engine = Engine(SilentDevice(load_checkpoint(checkpoint_dir)), decode_threads=2, label_cache_rows=10)
    request = InspectRequest([png, b"no image", BadRequest("it was none before"), png])
    first, broken, bad, last = json.loads(asyncio.run(engine.answer(request, Trace())))
    assert first == last and (first["width"], first["height"]) == (8, 8)
    assert [broken["status"], bad["status"]] == [422, 400]
