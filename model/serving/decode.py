"""The program that opens strangers' images: one process that only forks, and a child of it for each decoder.

    python -m model.serving decode SOCKET USER      an open socket's number, with model/serving/decoder.py at its other
                                                    end, and whom to become, if root

A child lives with what the kernel holds it to: so much time for an image and so much memory. It dies in the middle of
a C library, where no thread of ours would be heard, also if whoever asked closes the connection or is gone.
"""

import fcntl
import gc
import io
import os
import pickle
import resource
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import orjson
import torch
from PIL import Image

from contract.problems import ProblemError, shorten
from model.clip.preparation import Preparation, Resize
from model.serving.inspection import inspect
from model.serving.privileges import drop_root

FORK = struct.Struct("!iQ")
"""Asks for a child: niceness, bytes of memory, and then a pickled Preparation. Two descriptors come along, of its
connection and of the memory that images and pixels pass through, which make it one message."""
FORK_BYTES = 32_768

REQUEST = struct.Struct("!?Qdd")
"""Asks a child to prepare, and perhaps to inspect, the image of so many bytes in the memory, within seconds of CPU time
and of the clock. It answers a line of JSON, as its first one `{}` when it has started."""

SENTENCE_CHARS = 1_000

UP = b"\n"
"""What the forking process says when it is ready to."""


def main(descriptor: int, user: str) -> int:
    """Fork children until the socket is closed."""
    control = socket.socket(fileno=descriptor)
    torch.set_num_threads(1)  # a process with threads must not be forked
    signal.signal(signal.SIGCHLD, _reap)
    _warm_up()
    if user:
        drop_root(user)
    gc.enable()
    control.sendall(UP)
    preparations: dict[bytes, Preparation] = {}
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, FORK_BYTES, 2)
        if not message:
            return 0
        niceness, memory_bytes = FORK.unpack_from(message)
        told = message[FORK.size :]
        if told not in preparations:
            preparations[told] = pickle.loads(told)  # noqa: S301 - our own server wrote it
            gc.collect()
            gc.freeze()  # a collection in a child would copy every page of this
        with suppress(OSError):  # no room for one more: it is told by its closed connection
            if os.fork() == 0:
                control.close()
                _live(socket.socket(fileno=descriptors[0]), descriptors[1], preparations[told], niceness, memory_bytes)
        for descriptor in descriptors:
            os.close(descriptor)


def _warm_up() -> None:
    """Load what opening and resizing images loads, so that children have it."""
    Image.init()
    picture = Image.new("RGB", (64, 64))
    preparation = Preparation(32, Resize("bicubic", 32, (32, 32), None), None)
    for format in ("JPEG", "PNG", "WEBP"):
        picture.save(file := io.BytesIO(), format)
        inspect(file.getvalue(), preparation)


def _reap(signum: int, frame: object) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _live(
    connection: socket.socket, memory: int, preparation: Preparation, niceness: int, memory_bytes: int
) -> NoReturn:
    """A child's life. It never returns into the program of its parent."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.nice(niceness)
        _limit_memory(memory_bytes)
        fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
        idle = fcntl.fcntl(connection, fcntl.F_GETFL)
        at_work = idle | os.O_ASYNC  # the kernel ends it by SIGIO when the other end of the connection is closed
        connection.send(b"{}\n")
        while len(asked := connection.recv(REQUEST.size, socket.MSG_WAITALL)) == REQUEST.size:
            wants_inspection, size_bytes, cpu_s, wall_s = REQUEST.unpack(asked)
            fcntl.fcntl(connection, fcntl.F_SETFL, at_work)
            signal.setitimer(signal.ITIMER_PROF, cpu_s)
            signal.setitimer(signal.ITIMER_REAL, wall_s)
            answer = _open(preparation, os.pread(memory, size_bytes, 0), wants_inspection, memory)
            signal.setitimer(signal.ITIMER_REAL, 0)  # the other one does not run while it waits
            fcntl.fcntl(connection, fcntl.F_SETFL, idle)
            connection.send(orjson.dumps(answer) + b"\n")
        status = 0
    except ConnectionError:  # whoever asked has gone
        status = 0
    except BaseException:  # the top of this process
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _limit_memory(more_bytes: int) -> None:
    """Beyond what it has been born with."""
    facts = Path("/proc/self/statm")
    if facts.is_file():  # elsewhere nobody enforces it
        limit = int(facts.read_text().split()[0]) * resource.getpagesize() + more_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _open(preparation: Preparation, data: bytes, wants_inspection: bool, memory: int) -> dict[str, Any]:
    """What became of an image; pixels are left in the memory."""
    answer: dict[str, Any]
    try:
        if wants_inspection:
            facts, pixels = inspect(data, preparation)
            answer = {"facts": facts, "shape": pixels.shape}
        else:
            image, shrunk_by = preparation.open(data)
            del data
            pixels = preparation.resize(image)
            answer = {"shape": pixels.shape, "shrunk_by": shrunk_by}
    except ProblemError as problem:
        if _ran_out(problem.__context__):
            return {"memory": True}
        return {"status": problem.status, "detail": shorten(problem.detail, SENTENCE_CHARS)}
    except (MemoryError, RuntimeError) as error:
        if _ran_out(error):
            return {"memory": True}
        raise
    os.pwrite(memory, np.ascontiguousarray(pixels).data, 0)
    return answer


def _ran_out(error: BaseException | None) -> bool:
    """Whether it says that memory is short: torch does so in a sentence."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocate memory" in str(error))
