"""The threads that run the model. Each takes what waits as soon as it is free, as much as the towers take at a time.

No timer holds an image back so that others may join it: a batch grows while the one before it is computed. But an
image does wait for those that were already being opened when it came, since a batch saves more than that takes.

Requests take turns (self-clocked fair queueing: Golestani, INFOCOM 1994): one with a single image waits behind one
image of each other at most, however many those have.
"""

import asyncio
import math
import time
from bisect import insort
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from model.clip.processing import TextEmbedding
from model.serving.towers import Embed, Towers

WEDGED_S = 60
"""No batch takes this long; a device that has been silent for it will not come back."""

Result = TypeVar("Result")
Place = tuple[Awaitable[Tensor], int, float]
"""The batch of an image, its row in it, and how long the image has waited for it, in seconds."""


@dataclass
class Turns:
    """The turn of a request's last image."""

    last: int = 0


@dataclass(eq=False)
class _Image:
    pixels: Tensor
    place: asyncio.Future[Place]
    since_s: float
    turn: int
    after: int
    """The number of the last one that was expected when it came."""


@dataclass(eq=False)
class _Texts:
    texts: Sequence[str]
    batch: asyncio.Future[Awaitable[list[TextEmbedding]]]
    since_s: float


def as_batch(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors of one shape as one more dimension; a lone one is not copied."""
    return torch.stack([*tensors]) if len(tensors) > 1 else tensors[0].unsqueeze(0)


class Workers:
    """A thread for each worker of the towers. Lives on one event loop, so it needs no lock.

    `observe_batch` is told how many images each batch had.
    """

    def __init__(
        self,
        towers: Towers,
        observe_batch: Callable[[int], None] = lambda images: None,
        wedged_s: float = WEDGED_S,
    ) -> None:
        self._embed_texts = towers.embed_texts
        self._observe_batch = observe_batch
        self._largest_batch = towers.batch_sizes[-1]
        self._wedged_s = wedged_s
        self._pool = ThreadPoolExecutor(len(towers.workers), "worker")
        self._idle = list(towers.workers)
        self._images: list[_Image] = []
        """Sorted by their turns, and by when they came."""
        self._turn = 0
        self._texts: deque[_Texts] = deque()
        self._expected: dict[int, None] = {}
        self._last_expected = 0
        self._running_since_s: dict[asyncio.Future[Any], float] = {}
        self._failure: str | None = None

    @property
    def fault(self) -> str | None:
        """Why this process should be replaced, or None: the device failed, or makes no progress."""
        oldest_s = min(self._running_since_s.values(), default=None)
        if oldest_s is not None and time.perf_counter() - oldest_s > self._wedged_s:
            return f"the model has made no progress for more than {self._wedged_s} s"
        return self._failure

    @contextmanager
    def expecting(self) -> Iterator[Callable[[], None]]:
        """An image is being opened. What is yielded is called when it has come; it also counts as come at the end."""
        self._last_expected = number = self._last_expected + 1
        self._expected[number] = None
        loop = asyncio.get_running_loop()

        def came() -> None:
            if number in self._expected:
                del self._expected[number]
                loop.call_soon(self._start)

        try:
            yield came
        finally:
            came()

    async def settle(self) -> None:
        """Wait until all are idle, which they are with no image or text left that somebody waits for."""
        while self._running_since_s:
            await asyncio.wait({*self._running_since_s})

    async def embed_image(self, pixels: Tensor, turns: Turns | None = None) -> tuple[Tensor, float]:
        """One preprocessed image, uint8 [3, height, width], as a unit vector [D], and how many seconds it waited for a
        worker. Who has left before one comes costs nothing. `turns` are those of its request, if that has several.
        """
        loop = asyncio.get_running_loop()
        turns = turns or Turns()
        turns.last = max(self._turn, turns.last) + 1
        image = _Image(pixels, loop.create_future(), time.perf_counter(), turns.last, self._last_expected)
        insort(self._images, image, key=lambda each: each.turn)
        loop.call_soon(self._start)  # those that come with it are to be in its batch
        batch, row, waited_s = await image.place
        return (await asyncio.shield(batch))[row], waited_s

    async def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """One batch of texts, which no image is part of."""
        loop = asyncio.get_running_loop()
        waiting = _Texts(texts, loop.create_future(), time.perf_counter())
        self._texts.append(waiting)
        loop.call_soon(self._start)
        return await asyncio.shield(await waiting.batch)

    def _start(self) -> None:
        """Give idle workers what has waited longest."""
        while self._idle:
            ready = self._images_are_ready()
            if self._texts and not (ready and self._images[0].since_s < self._texts[0].since_s):
                asked = self._texts.popleft()
                if not asked.batch.done():
                    asked.batch.set_result(self._run(self._idle.pop(), partial(self._embed_texts, asked.texts)))
            elif not ready:
                break
            elif images := self._taken():
                self._start_images(images)

    def _images_are_ready(self) -> bool:
        """Whether there are any, and as many as a batch takes or all that were on their way when the first one came."""
        if not self._images:
            return False
        next_expected = next(iter(self._expected), math.inf)
        return len(self._images) >= self._largest_batch or next_expected > min(each.after for each in self._images)

    def _taken(self) -> list[_Image]:
        """This worker's share of the images, if the other idle ones take theirs, without those nobody waits for."""
        share = min(-(-len(self._images) // len(self._idle)), self._largest_batch)
        taken: list[_Image] = []
        while self._images and len(taken) < share:
            image = self._images.pop(0)
            self._turn = image.turn
            if not image.place.done():
                taken.append(image)
        return taken

    def _start_images(self, images: Sequence[_Image]) -> None:
        embed = self._idle.pop()
        pixels = [image.pixels for image in images]
        batch = self._run(embed, lambda: embed(as_batch(pixels)))
        self._observe_batch(len(images))
        now_s = time.perf_counter()
        for row, image in enumerate(images):
            image.place.set_result((batch, row, now_s - image.since_s))

    def _run(self, worker: Embed, work: Callable[[], Result]) -> asyncio.Future[Result]:
        """`work` on a thread; the worker is idle again when it has ended."""
        running = asyncio.get_running_loop().run_in_executor(self._pool, self._watched, work)

        def ended(batch: asyncio.Future[Result]) -> None:
            del self._running_since_s[batch]
            self._idle.append(worker)
            self._start()

        self._running_since_s[running] = time.perf_counter()
        running.add_done_callback(ended)
        return running

    def _watched(self, work: Callable[[], Result]) -> Result:
        try:
            return work()
        except torch.AcceleratorError as error:  # after one of these a CUDA context answers nothing any more
            self._failure = f"the device failed: {error}"
            raise
