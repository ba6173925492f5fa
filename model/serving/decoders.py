"""Decoders: the processes that open images, each of which may be killed at any moment without harm to a request: it
is the image's fault only if the next one ends in the same way.

Small images go the fast way: as many decoders as cores, each with so little CPU time for an image that nobody waits
long behind a hostile one. What is large, or turns out to be slow, goes the slow way: few decoders that yield to
everybody else, each for one image only, so that its memory returns to the machine. Who has had least of a way's time
comes first (Kleinrock, Queueing Systems II, 1976, chapter 4), so a list does not keep single images waiting.

The limits are the kernel's (model/serving/decode.py); a decoder that reaches one is gone, and another takes its place.
"""

from __future__ import annotations

import asyncio
import pickle
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from typing import Any

import torch
from PIL import Image

from contract.answers import ImageFacts
from contract.limits import MAX_IMAGE_PIXELS
from contract.problems import PROBLEMS, ProblemError, ServiceUnavailable, TooManyRequests, UnprocessableImage
from model.clip.lookahead import JPEG_MAGIC, declared_size, working_bytes
from model.clip.preparation import Preparation
from model.serving.decoder import Decoder, Limits, Lost, Template

FAST_PIXELS = 2_500_000
"""What is decoded, beside what JPEG leaves out, of an image that goes the fast way: a full-HD screenshot does."""
FAST_JPEG_PIXELS = 20_000_000
"""The same for a JPEG that is shrunk while it is decoded: a photo of 12 megapixels takes 36 ms."""
CROWDED = 4
"""So many requests wait for each slow decoder before more are refused."""
DOUBTFUL = 2
STARTS_FAILED = 5
"""In a row, without one that succeeded, are a fault."""

FAST = Limits(cpu_s=0.05, cpu_s_per_mpixel=0.012, memory_bytes=64 * 2**20, niceness=0)
"""Some three times what honest images take of whom nothing is known but how many pixels they say they have."""
SLOW = Limits(cpu_s=1, cpu_s_per_mpixel=0.08, memory_bytes=256 * 2**20, niceness=10)
"""A PNG of 50 megapixels takes 200 MiB while it is decoded, and 2 s."""
WHOLE = replace(SLOW, memory_bytes=2**30)
"""The same for who needs every pixel: inspections, and exact mode."""


@dataclass(eq=False)
class Share:
    """What one request has had of the decoders so far; it takes the slow way with one image at a time."""

    on_slow: Callable[[], None] = lambda: None
    """Hears when it begins to take the slow way."""
    used_s: float = 0.0
    running: int = 0
    slowed: int = 0
    """Its images that turned out to be slow; from DOUBTFUL on the others do not try the fast way."""
    slow: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True)
class Asked:
    """An image file, what is wanted of it, and how many pixels it says that it has."""

    data: bytes
    wants_inspection: bool
    thumbnail_px: int
    pixels: int


class Exceeded(Enum):
    """What an image would take more of than is allowed."""

    TIME = "time"
    MEMORY = "memory"


class Way:
    """So many decoders, and who waits for one. `keep`: the limits of all, which live on for the next image."""

    def __init__(
        self, start: Callable[[Limits], Decoder], decoders: int, lost: Counter[str], keep: Limits | None = None
    ) -> None:
        self._start = start
        self._lost = lost
        self._keep = keep
        self._free = decoders
        self._idle = [start(keep) for _ in range(decoders)] if keep else []
        self._waiting: list[tuple[Share, asyncio.Future[None]]] = []

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(not turn.done() for _, turn in self._waiting)

    @asynccontextmanager
    async def decoder(self, share: Share, limits: Limits) -> AsyncIterator[Decoder]:
        """One for one image; after an error inside, or where none is kept, it is closed."""
        await self._turn(share)
        try:
            try:
                decoder = self._idle.pop() if self._idle else self._start(limits)
            except OSError:
                raise Lost(False, 0) from None
            since_s = time.perf_counter()
            share.running += 1
            try:
                yield decoder
            except BaseException as error:
                decoder.close()
                if isinstance(error, asyncio.CancelledError):
                    self._lost["left"] += 1
                if self._keep:
                    with suppress(OSError):
                        self._idle.append(self._start(self._keep))
                raise
            else:
                if self._keep:
                    decoder.forget()
                    self._idle.append(decoder)
                else:
                    decoder.close()
            finally:
                share.running -= 1
                share.used_s += time.perf_counter() - since_s
        finally:
            self._hand_on()

    async def _turn(self, share: Share) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((share, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        """To who has least at work now, then has had least, then came first."""
        self._waiting = [each for each in self._waiting if not each[1].done()]
        if not self._waiting:
            self._free += 1
            return
        first = min(self._waiting, key=lambda each: (each[0].running, each[0].used_s))
        self._waiting.remove(first)
        first[1].set_result(None)


class Decoders:
    """Opens images for the requests of one event loop at a time."""

    def __init__(
        self,
        template: Template,
        preparation: Preparation,
        decoders: int,
        *,
        fast: Limits = FAST,
        slow: Limits = SLOW,
        whole: Limits = WHOLE,
        on_decoded: Callable[[int], None] = lambda shrunk_by: None,
    ) -> None:
        self.lost: Counter[str] = Counter()
        """Decoders that were given up, by why: memory, time, crash, start, or left by who asked."""
        start = partial(Decoder, template, pickle.dumps(preparation))
        self._fast = Way(start, decoders, self.lost, keep=fast)
        self._slow = Way(start, slow_decoders(decoders), self.lost)
        self._fast_limits, self._slow_limits, self._whole_limits = fast, slow, whole
        self._crowded = CROWDED * slow_decoders(decoders)
        self._short_side = preparation.short_side
        self._shape = torch.Size(preparation.resize(Image.new("RGB", (1, 1))).shape)
        self._on_decoded = on_decoded
        self._failed_starts = 0

    @property
    def fault(self) -> str | None:
        """Why no image can be opened any more, or None."""
        if self._failed_starts < STARTS_FAILED:
            return None
        return f"no decoder starts: {self._failed_starts} have failed, one after another"

    async def prepare(self, data: bytes, share: Share) -> torch.Tensor | ProblemError:
        """An image file as pixels, uint8 [3, height, width], or why it can't be."""
        opened: torch.Tensor | ProblemError = await self._open(data, share)
        return opened

    async def thumbnail(self, data: bytes, size_px: int, share: Share) -> torch.Tensor | ProblemError:
        """An image file shrunk to be looked at, uint8 [height, width, 3], or why it can't be."""
        opened: torch.Tensor | ProblemError = await self._open(data, share, thumbnail_px=size_px)
        return opened

    async def inspect(self, data: bytes, share: Share) -> tuple[ImageFacts, torch.Tensor] | ProblemError:
        """What is to be known of an image file, and its pixels as `prepare` has them, or why it can't be."""
        opened: tuple[ImageFacts, torch.Tensor] | ProblemError = await self._open(data, share, wants_inspection=True)
        return opened

    async def _open(self, data: bytes, share: Share, *, wants_inspection: bool = False, thumbnail_px: int = 0) -> Any:
        width, height = declared_size(data) or (0, 0)
        whole = wants_inspection or (self._short_side is None and not thumbnail_px)
        # one more than the most is enough to be refused, and its time limit a number that the kernel takes
        asked = Asked(data, wants_inspection, thumbnail_px, min(width * height, MAX_IMAGE_PIXELS + 1))
        fast_pixels = FAST_JPEG_PIXELS if data.startswith(JPEG_MAGIC) and not whole else FAST_PIXELS
        if not fast_pixels < asked.pixels <= MAX_IMAGE_PIXELS:  # what has too many is refused by its header
            opened = await self._try(self._fast, self._fast_limits, asked, share)
            if not isinstance(opened, Exceeded):
                return opened
            share.slowed += 1
        # what was inspected once, is to be looked at, too
        limits = self._whole_limits if whole or thumbnail_px else self._slow_limits
        if working_bytes(data) > limits.memory_bytes:
            return _too_much_memory(limits)
        share.on_slow()
        async with share.slow:
            if self._slow.waiting >= self._crowded:
                return TooManyRequests(
                    f"{self._slow.waiting} requests wait with images that take long to decode, more are not let in: "
                    "shrink it to 1024 px on the longer side, or try again",
                    retry_after_s=int(limits.cpu_s_of(asked.pixels)) + 1,
                )
            opened = await self._try(self._slow, limits, asked, share)
        if opened is Exceeded.MEMORY:
            return _too_much_memory(limits)
        if opened is Exceeded.TIME:
            return UnprocessableImage(
                f"to decode the image takes more than {limits.cpu_s_of(asked.pixels):.1f} s, the limit for one that "
                f"says it has {asked.pixels:,} pixels: save it again as PNG or JPEG, or shrink it"
            )
        return opened

    async def _try(self, way: Way, limits: Limits, asked: Asked, share: Share, attempts: int = 2) -> Any:
        """What became of an image, or what it would exceed."""
        try:
            async with way.decoder(share, limits) as decoder:
                if way is self._fast and share.slowed >= DOUBTFUL:
                    return Exceeded.TIME
                answer = await decoder.ask(asked.data, asked.wants_inspection, asked.pixels, asked.thumbnail_px)
                self._failed_starts = 0
                return self._read(decoder, answer, asked.thumbnail_px)
        except MemoryError:
            self.lost["memory"] += 1
            return Exceeded.MEMORY
        except Lost as lost:
            if not lost.started:
                return await self._start_again(way, limits, asked, share, attempts)
            self._failed_starts = 0
            if lost.seconds < limits.cpu_s_of(asked.pixels):  # before its time: nothing of ours has ended it
                self.lost["crash"] += 1
                # a kernel that is short of memory kills whom it likes, which need not be this image's fault
                if attempts > 1:
                    return await self._try(way, limits, asked, share, attempts - 1)
                return UnprocessableImage("the image makes its decoder crash: save it again with another program")
            self.lost["time"] += 1
            return Exceeded.TIME

    async def _start_again(self, way: Way, limits: Limits, asked: Asked, share: Share, attempts: int) -> Any:
        self.lost["start"] += 1
        self._failed_starts += 1
        if attempts > 1:
            return await self._try(way, limits, asked, share, attempts - 1)
        return ServiceUnavailable("no process could be started to decode the image: try again", retry_after_s=1)

    def _read(self, decoder: Decoder, answer: dict[str, Any], thumbnail_px: int) -> Any:
        """Raises MemoryError if the decoder had too little."""
        if "memory" in answer:
            raise MemoryError
        if "status" in answer:
            return PROBLEMS[answer["status"]](answer["detail"])
        if "facts" in answer:
            return answer["facts"], decoder.pixels(self._shape)
        if thumbnail_px:
            height, width, _ = answer["shape"]
            return decoder.pixels(torch.Size((min(height, thumbnail_px), min(width, thumbnail_px), 3)))
        self._on_decoded(answer["shrunk_by"])
        return decoder.pixels(self._shape)


def slow_decoders(decoders: int) -> int:
    """How many go the slow way."""
    return max(1, decoders // 4)


def _too_much_memory(limits: Limits) -> UnprocessableImage:
    return UnprocessableImage(
        f"to decode the image takes more than {limits.memory_bytes // 2**20} MB of memory: shrink it, or save it as "
        "JPEG or PNG"
    )
