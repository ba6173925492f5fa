"""The engine: a loaded model that answers requests on an event loop.

A pool of threads opens images and writes answers; one more thread runs the model, batch after batch as they arrive.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import orjson
import torch
from PIL import Image

from model.checkpoint import is_checkpoint, load_checkpoint
from model.contract import (
    BadRequest,
    ClassifyRequest,
    EmbedRequest,
    ImageSource,
    InspectRequest,
    LabelScore,
    ProblemError,
    Request,
    S3Object,
    arrange,
    render_classify,
)
from model.device import describe_cuda, pick_device
from model.image import open_image
from model.inference import IMAGE_BATCH, Clip, TextEmbedding
from model.scoring import prompts_of, rank, score
from model.serving.inspection import inspect
from model.serving.label_cache import LabelCache
from model.serving.trace import Trace
from model.settings import ServeSettings

WEDGED_S = 60
"""No batch takes this long; a device that has been silent for it will not come back."""

Result = TypeVar("Result")
Opened = torch.Tensor | ProblemError
"""An image as pixel values [3, height, width], later as a unit vector [D], or why it can't be."""

log = logging.getLogger(__name__)


def load_engine(settings: ServeSettings) -> Engine:
    """Load the checkpoint in `model_dir`, or else the base checkpoint, and use everything once: first calls are slow.

    Raises CheckpointError, or DeviceError if a GPU is expected and does not compute.
    """
    device = pick_device(settings.expect_gpu)
    torch.set_num_threads(settings.model_threads)
    directory = settings.model_dir if is_checkpoint(settings.model_dir) else settings.base_model_dir
    clip = Clip(load_checkpoint(directory, device))
    Image.init()
    clip.embed_texts(["a photo of something"])
    clip.embed_images(clip.preprocess(Image.new("RGB", (640, 480))).unsqueeze(0))
    log.info("model loaded", extra={"version": clip.version, "directory": str(directory), "device": describe_cuda()})
    return Engine(clip, settings.decode_threads, settings.label_cache_rows)


class Engine:
    """Answers classify, embed and inspect requests with one model."""

    def __init__(self, clip: Clip, decode_threads: int, label_cache_rows: int, wedged_s: float = WEDGED_S) -> None:
        self.clip = clip
        self._wedged_s = wedged_s
        self.labels = LabelCache(self._encode_texts, label_cache_rows)
        self._pool = ThreadPoolExecutor(decode_threads, "pool")
        self._device = ThreadPoolExecutor(1, "device")
        self._device_busy_since_s: float | None = None
        self._device_fault: str | None = None

    @property
    def fault(self) -> str | None:
        """Why this process should be replaced, or None: the device failed, or makes no progress."""
        since_s = self._device_busy_since_s
        if since_s is not None and time.monotonic() - since_s > self._wedged_s:
            return f"the model has made no progress for more than {self._wedged_s} s"
        return self._device_fault

    async def in_pool(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run `work` in a thread of the pool."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    async def answer(self, request: Request, trace: Trace) -> bytes:
        """The JSON body that answers `request`.

        Raises ProblemError if there is nothing else to answer; a bad image in a list does not.
        """
        if isinstance(request, InspectRequest):
            return orjson.dumps(arrange(await self._read(inspect, request, trace), listed=True))
        opened: list[Opened] = await self._read(self._preprocess, request, trace)
        if isinstance(request, EmbedRequest):
            return await self._embed(request, opened, trace)
        return await self._classify(request, opened, trace)

    async def _classify(self, request: ClassifyRequest, opened: Sequence[Opened], trace: Trace) -> bytes:
        if not request.listed and isinstance(opened[0], ProblemError):
            raise opened[0]
        prompts = [prompt for question in request.parameters.questions.values() for prompt in prompts_of(question)]
        images, texts = await asyncio.gather(self._image_embeds(opened, trace), self._text_embeds(prompts, trace))
        with trace.stage("score"):
            return await self.in_pool(self._render_classify, request, images, texts)

    def _render_classify(self, request: ClassifyRequest, images: list[Opened], texts: dict[str, torch.Tensor]) -> bytes:
        good = [image for image in images if isinstance(image, torch.Tensor)]
        answers: list[dict[str, list[LabelScore]]] = [{} for _ in good]
        for name, question in request.parameters.questions.items() if good else ():
            scores = score(question, torch.stack(good), texts, self.clip.logit_scale, self.clip.calibration)  # [B, L]
            for answer, row in zip(answers, scores, strict=True):
                answer[name] = rank(question, row)
        remaining = iter(answers)
        items = [image if isinstance(image, ProblemError) else next(remaining) for image in images]
        return orjson.dumps(render_classify(request, items))

    async def _embed(self, request: EmbedRequest, opened: Sequence[Opened], trace: Trace) -> bytes:
        images, texts = await asyncio.gather(self._image_embeds(opened, trace), self._text_embeds(request.texts, trace))
        with trace.stage("render"):
            return await self.in_pool(self._render_embed, request, images, texts)

    def _render_embed(self, request: EmbedRequest, images: list[Opened], texts: dict[str, torch.Tensor]) -> bytes:
        # as fp32 arrays, which orjson writes with the 9 digits they hold and not with a double's 17
        items = [image if isinstance(image, ProblemError) else image.numpy() for image in images]
        answer = {"images": arrange(items, listed=True), "texts": [texts[text].numpy() for text in request.texts]}
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)

    async def _read(
        self, work: Callable[[bytes], Result], request: Request, trace: Trace
    ) -> list[Result | ProblemError]:
        """What `work` makes of every image of `request`, or its problem."""
        with trace.stage("decode"):
            reading = (self.in_pool(_result_or_problem, work, source) for source in request.images)
            read: list[Result | ProblemError] = await asyncio.gather(*reading)
        return read

    def _preprocess(self, data: bytes) -> torch.Tensor:
        return self.clip.preprocess(open_image(data))

    async def _image_embeds(self, opened: Sequence[Opened], trace: Trace) -> list[Opened]:
        good = [each for each in opened if isinstance(each, torch.Tensor)]
        vectors: list[torch.Tensor] = []
        with trace.stage("model"):
            for start in range(0, len(good), IMAGE_BATCH):
                pixel_values = torch.stack(good[start : start + IMAGE_BATCH])  # [B, 3, height, width]
                vectors += await self._on_device(self.clip.embed_images, pixel_values)
        remaining = iter(vectors)
        return [each if isinstance(each, ProblemError) else next(remaining) for each in opened]

    async def _text_embeds(self, texts: Sequence[str], trace: Trace) -> dict[str, torch.Tensor]:
        with trace.stage("labels"):
            found = await self.labels.embed(texts)
        trace.truncated_prompts = sum(embedding.truncated for embedding in found.values())
        return {text: embedding.vector for text, embedding in found.items()}

    async def _encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        return await self._on_device(self.clip.embed_texts, texts)

    async def _on_device(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._device, self._watched, work, *arguments)

    def _watched(self, work: Callable[..., Result], *arguments: object) -> Result:
        self._device_busy_since_s = time.monotonic()
        try:
            return work(*arguments)
        except torch.AcceleratorError as error:  # after one of these a CUDA context answers nothing any more
            self._device_fault = f"the device failed: {error}"
            raise
        finally:
            self._device_busy_since_s = None


def _result_or_problem(work: Callable[[bytes], Result], source: ImageSource) -> Result | ProblemError:
    if isinstance(source, ProblemError):
        return source
    if isinstance(source, S3Object):
        return BadRequest(f"{source.s3_key!r} names an object in a bucket, and the model is sent bytes only")
    try:
        return work(source)
    except ProblemError as problem:
        return problem
