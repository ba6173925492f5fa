"""Decoders: the processes that open images, each of which may be killed at any moment without harm to a request but
the one it works for.

Small images go the fast way: as many decoders as cores, each with so little CPU time for an image that nobody waits
long behind a hostile one. What is large, or turns out to be slow, goes the slow way: few decoders that yield to
everybody else, each for one image only, so that its memory returns to the machine. Who has had least of a way's time
comes first (Kleinrock, Queueing Systems II, 1976, chapter 4), so a list does not keep single images waiting.

The limits are the kernel's (model/serving/decode.py); a decoder that reaches one is gone, and another takes its place.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import pickle
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from PIL import Image

from contract.answers import Inspection
from contract.problems import PROBLEMS, ProblemError, ServiceUnavailable, TooManyRequests, UnprocessableImage
from model.clip.lookahead import declared_size
from model.clip.preparation import Preparation
from model.serving.decoder import Decoder, Limits, Lost, Template

FAST_PIXELS = 2_500_000
"""What is decoded, beside what JPEG leaves out, of an image that goes the fast way: a full-HD screenshot does."""
FAST_JPEG_PIXELS = 20_000_000
"""The same for a JPEG that is shrunk while it is decoded: a photo of 12 megapixels takes 36 ms."""
CROWDED = 4
"""So many requests wait for each slow decoder before more are refused."""
STARTS_FAILED = 5
"""In a row, without one that succeeded, are a fault."""

FAST = Limits(cpu_s=0.15, cpu_s_per_mpixel=0, memory_bytes=64 * 2**20, niceness=0)
SLOW = Limits(cpu_s=1, cpu_s_per_mpixel=0.15, memory_bytes=256 * 2**20, niceness=10)
"""A PNG of 50 megapixels takes 200 MiB while it is decoded, and 2 s."""


@dataclass(eq=False)
class Share:
    """What one request has had of the decoders so far; it takes the slow way with one image at a time."""

    on_slow: Callable[[], None] = lambda: None
    """Hears when it begins to take the slow way."""
    used_s: float = 0.0
    slow: asyncio.Lock = field(default_factory=asyncio.Lock)


class Way:
    """So many decoders with the same limits, and who waits for one."""

    def __init__(
        self, template: Template, limits: Limits, preparation: bytes, decoders: int, lost: Counter[str], *, keep: bool
    ) -> None:
        self.limits = limits
        self._lost = lost
        self._keep = keep
        self._start = partial(Decoder, template, limits, preparation)
        self._free = decoders
        self._idle: list[Decoder] = [self._start() for _ in range(decoders if keep else 0)]
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(not each.done() for *_, each in self._waiting)

    @asynccontextmanager
    async def decoder(self, share: Share) -> AsyncIterator[Decoder]:
        """One for one image; after an error inside, or where none is kept, it is closed."""
        await self._turn(share)
        try:
            try:
                decoder = self._idle.pop() if self._idle else self._start()
            except OSError:
                raise Lost(False, 0) from None
            since_s = time.perf_counter()
            try:
                yield decoder
            except BaseException as error:
                decoder.close()
                self._lost["left"] += isinstance(error, asyncio.CancelledError)
                if self._keep:
                    with suppress(OSError):
                        self._idle.append(self._start())
                raise
            else:
                if self._keep:
                    decoder.forget()
                    self._idle.append(decoder)
                else:
                    decoder.close()
            finally:
                share.used_s += time.perf_counter() - since_s
        finally:
            self._hand_on()

    async def _turn(self, share: Share) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (share.used_s, next(self._numbers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        while self._waiting:
            *_, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


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
        on_decoded: Callable[[int], None] = lambda shrunk_by: None,
    ) -> None:
        self.lost: Counter[str] = Counter()
        """Decoders that were given up, by why: memory, time, crash, start, or left by who asked."""
        told = pickle.dumps(preparation)
        self._fast = Way(template, fast, told, decoders, self.lost, keep=True)
        self._slow = Way(template, slow, told, slow_decoders(decoders), self.lost, keep=False)
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
        opened: torch.Tensor | ProblemError = await self._open(data, False, share)
        return opened

    async def inspect(self, data: bytes, share: Share) -> Inspection | ProblemError:
        """What is to be known of an image file, or why it can't be."""
        opened: Inspection | ProblemError = await self._open(data, True, share)
        return opened

    async def _open(self, data: bytes, wants_inspection: bool, share: Share) -> Any:
        size = declared_size(data)
        pixels = size[0] * size[1] if size else 0
        shrinks = self._short_side is not None and not wants_inspection and data[:2] == b"\xff\xd8"
        if pixels <= (FAST_JPEG_PIXELS if shrinks else FAST_PIXELS):
            opened = await self._try(self._fast, data, wants_inspection, share, pixels)
            if opened is not None:
                return opened
        share.on_slow()
        async with share.slow:
            if self._slow.waiting >= self._crowded:
                return TooManyRequests(
                    f"{self._slow.waiting} requests wait with images that take long to decode, more are not let in: "
                    "shrink it to 1024 px on the longer side, or try again",
                    retry_after_s=int(self._slow.limits.cpu_s_of(pixels)) + 1,
                )
            return await self._try(self._slow, data, wants_inspection, share, pixels)

    async def _try(
        self, way: Way, data: bytes, wants_inspection: bool, share: Share, pixels: int, attempts: int = 2
    ) -> object:
        """What became of an image. None: it is more than the fast way allows."""
        try:
            async with way.decoder(share) as decoder:
                answer = await decoder.ask(data, wants_inspection, pixels)
                self._failed_starts = 0
                opened = self._read(decoder, answer)
                if opened is None:
                    raise MemoryError
                return opened
        except MemoryError:
            self.lost["memory"] += 1
            return (
                None
                if way is self._fast
                else UnprocessableImage(
                    f"to decode the image takes more than {way.limits.memory_bytes // 2**20} MB of memory: shrink "
                    "it, or save it as PNG or JPEG"
                )
            )
        except Lost as lost:
            if not lost.started:
                return await self._start_again(way, data, wants_inspection, share, pixels, attempts)
            self._failed_starts = 0
            cpu_s = way.limits.cpu_s_of(pixels)
            if lost.seconds < cpu_s:  # before its time: nothing of ours has ended it
                self.lost["crash"] += 1
                return UnprocessableImage("the image makes its decoder crash: save it again with another program")
            self.lost["time"] += 1
            return (
                None
                if way is self._fast
                else UnprocessableImage(
                    f"to decode the image takes more than {cpu_s:.1f} s, which is the limit for one that says it has "
                    f"{pixels:,} pixels: save it again as PNG or JPEG, or shrink it"
                )
            )

    async def _start_again(
        self, way: Way, data: bytes, wants_inspection: bool, share: Share, pixels: int, attempts: int
    ) -> object:
        self.lost["start"] += 1
        self._failed_starts += 1
        if attempts > 1:
            return await self._try(way, data, wants_inspection, share, pixels, attempts - 1)
        return ServiceUnavailable("no process could be started to decode the image: try again", retry_after_s=1)

    def _read(self, decoder: Decoder, answer: dict[str, Any]) -> object:
        """None: it has run out of memory."""
        if "memory" in answer:
            return None
        if "status" in answer:
            return PROBLEMS[answer["status"]](answer["detail"])
        if "inspection" in answer:
            return answer["inspection"]
        self._on_decoded(answer["shrunk_by"])
        return decoder.pixels(self._shape)


def slow_decoders(decoders: int) -> int:
    """How many go the slow way."""
    return max(1, decoders // 4)
