"""The program that decoders are, seen over its socket."""

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from benchmarks.serving.hostile_images import rle_bmp
from model.serving.decode import FORK, REQUEST, UP
from tests.model.serving.decoder_processes import PREPARATION, small_png


@pytest.fixture(scope="module")
def control() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-m", "model.serving", "decode", str(theirs.fileno()), ""]
        process = subprocess.Popen(command, cwd=Path(__file__).parents[3], pass_fds=[theirs.fileno()])
        theirs.close()
        assert ours.recv(1) == UP
        yield ours
        ours.close()
        assert process.wait(30) == 0, "it ends with its socket"


def born(control: socket.socket, memory: int) -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(control, [FORK.pack(0, 2**28) + pickle.dumps(PREPARATION)], [theirs.fileno(), memory])
    assert ours.recv(3) == b"{}\n"
    return ours


def asked(
    child: socket.socket, memory: int, data: bytes, cpu_s: float, wall_s: float, *, inspect: bool = False
) -> bytes:
    os.pwrite(memory, data, 0)
    child.send(REQUEST.pack(inspect, len(data), cpu_s, wall_s))
    return child.recv(4096)


def test_pixels_are_left_in_the_memory_that_the_image_came_in(control: socket.socket) -> None:
    memory = os.memfd_create("image")
    with born(control, memory) as child:
        answer = orjson.loads(asked(child, memory, small_png("lime"), 5, 5))
        assert answer == {"shape": [3, 32, 32], "shrunk_by": 1}
        assert os.pread(memory, 3 * 32 * 32, 0)[32 * 32 :][:3] == b"\xff\xff\xff"
        inspected = orjson.loads(asked(child, memory, small_png("red"), 5, 5, inspect=True))
        assert (inspected["shape"], inspected["facts"]["width"]) == ([3, 32, 32], 8)
        assert os.pread(memory, 3, 0) == b"\xff\xff\xff"
        assert orjson.loads(asked(child, memory, b"none", 5, 5))["status"] == 422
    os.close(memory)


@pytest.mark.parametrize(("cpu_s", "wall_s"), [(0.05, 60), (60, 0.05)], ids=["by the processor", "by the clock"])
def test_its_time_is_the_kernels_to_end(control: socket.socket, cpu_s: float, wall_s: float) -> None:
    memory = os.memfd_create("image")
    with born(control, memory) as child:
        assert asked(child, memory, rle_bmp(1_000), cpu_s, wall_s) == b""
    os.close(memory)
