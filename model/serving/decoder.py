"""A decoder: a process that opens one image at a time, and the one that decoders are forked from."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch

from contract.limits import CONTAINER_TIMEOUT_S
from model.serving.decode import FORK, REQUEST

START_S = 30
"""Within which a decoder has started, or none will."""
HANGS_S = 1
"""It takes what it is told at once, or it hangs."""
ANSWER_BYTES = 65_536
KEPT_BYTES = 8_000_000
"""Of the memory that images pass through, for the next image of a fast decoder."""
LATE_S = 1
"""After the clock's limit a decoder that still is there has outwitted the kernel, and is given up."""


@dataclass(frozen=True)
class Limits:
    """What one image may take. Beyond `memory_bytes` an honest decoder needs nothing: the shared part of it is free."""

    cpu_s: float
    cpu_s_per_mpixel: float
    memory_bytes: int
    niceness: int

    def cpu_s_of(self, pixels: int) -> float:
        """Seconds of CPU time."""
        return self.cpu_s + self.cpu_s_per_mpixel * pixels / 1e6

    def wall_s_of(self, pixels: int) -> float:
        """Seconds of the clock: on a busy machine three times as many, but none after everybody has left."""
        return min(1 + 3 * self.cpu_s_of(pixels), CONTAINER_TIMEOUT_S)


class Template:
    """The process that decoders are forked from: it has loaded what they need, so that one starts in milliseconds.

    It becomes `user` if this process is root, and ends when this object is gone.
    """

    def __init__(self, user: str = "") -> None:
        self._user = user
        self._start()

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "model.serving", "decode", str(theirs.fileno()), self._user],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,  # a signal to the server's group would end decoders before they have answered
        )
        theirs.close()
        self.pid = process.pid
        self._finalizer = weakref.finalize(self, _end, self._control, process)

    def close(self) -> None:
        """End it."""
        self._finalizer()

    def wait_until_up(self) -> None:
        """Raises OSError if it does not start."""
        self._control.settimeout(2 * START_S)
        if not self._control.recv(1):
            raise OSError("the process that decoders are forked from has ended: its traceback is above")
        self._control.settimeout(HANGS_S)

    def fork(self, limits: Limits, preparation: bytes, connection: socket.socket, memory: int) -> None:
        """Begin a decoder at the other end of a connection; it works once this process is up."""
        message = FORK.pack(limits.niceness, limits.memory_bytes) + preparation
        descriptors = [connection.fileno(), memory]
        try:
            socket.send_fds(self._control, [message], descriptors)
        except ConnectionError:  # killed by somebody
            self._finalizer()
            self._start()
            self._control.settimeout(HANGS_S)
            socket.send_fds(self._control, [message], descriptors)


def _end(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    control.close()
    process.kill()  # its children end with their connections
    process.wait()


class Lost(Exception):
    """A decoder ended without an answer. `started`: it had begun to work; it took so many seconds."""

    def __init__(self, started: bool, seconds: float) -> None:
        self.started = started
        self.seconds = seconds


class Decoder:
    """One process. Who has not got an answer closes it, which ends it wherever it is."""

    def __init__(self, template: Template, preparation: bytes, limits: Limits) -> None:
        self._limits = limits
        self._connection, theirs = socket.socketpair()
        self._connection.setblocking(False)
        self._memory = _nameless_file()
        self._finalizer = weakref.finalize(self, _close, self._connection, self._memory)
        self._said = b""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heard: asyncio.Future[None] | None = None
        self.started = False
        try:
            template.fork(limits, preparation, theirs, self._memory)
        finally:
            theirs.close()

    async def ask(self, data: bytes, wants_inspection: bool, pixels: int, thumbnail_px: int = 0) -> dict[str, Any]:
        """What it says of an image. Raises Lost."""
        if len(data) <= KEPT_BYTES:
            os.pwrite(self._memory, data, 0)
        else:
            await asyncio.to_thread(os.pwrite, self._memory, data, 0)
        wall_s = self._limits.wall_s_of(pixels)
        since_s = time.perf_counter()
        try:
            async with asyncio.timeout(wall_s + LATE_S if self.started else START_S):
                cpu_s = self._limits.cpu_s_of(pixels)
                self._connection.send(REQUEST.pack(wants_inspection, thumbnail_px, len(data), cpu_s, wall_s))
                if not self.started:
                    await self._line()
                    self.started = True
                    since_s = time.perf_counter()
                answer: dict[str, Any] = orjson.loads(await self._line())
                return answer
        except (OSError, TimeoutError, ValueError):  # broken connection; silence; nonsense
            raise Lost(self.started, time.perf_counter() - since_s) from None

    async def _line(self) -> bytes:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # once, for to listen anew for each answer takes a tenth of a millisecond
            self._loop = loop
            loop.add_reader(self._connection, self._hear)
        while b"\n" not in self._said:
            self._heard = loop.create_future()
            await self._heard
        line, _, self._said = self._said.partition(b"\n")
        return line

    def _hear(self) -> None:
        try:
            more = self._connection.recv(ANSWER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        self._said += more
        if not more or len(self._said) > ANSWER_BYTES:
            self._stop_listening()
        if self._heard is not None and not self._heard.done():
            if self._loop is None:
                self._heard.set_exception(BrokenPipeError())
            else:
                self._heard.set_result(None)

    def _stop_listening(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._connection)
        self._loop = None

    def pixels(self, shape: torch.Size) -> torch.Tensor:
        """What it has left in the memory. Raises Lost if that is less."""
        pixels = np.empty(shape, dtype=np.uint8)
        if os.preadv(self._memory, [pixels.data], 0) < pixels.size:
            raise Lost(True, 0)
        return torch.from_numpy(pixels)

    @property
    def kept_bytes(self) -> int:
        """What images have left in the memory."""
        return os.fstat(self._memory).st_size

    def forget(self) -> None:
        """Give it back, if an image was large."""
        if self.kept_bytes > KEPT_BYTES:
            os.ftruncate(self._memory, 0)

    def close(self) -> None:
        """End it."""
        self._stop_listening()
        self._finalizer()


def _nameless_file() -> int:
    """In memory, for which no /dev/shm is needed; on a disk where the system has no such thing, or refuses it."""
    with suppress(AttributeError, OSError):
        return os.memfd_create("image")
    with tempfile.TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())


def _close(connection: socket.socket, memory: int) -> None:
    connection.close()
    os.close(memory)
