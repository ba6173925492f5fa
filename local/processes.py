"""Finding and ending the processes of one local system, and only those: each carries our mark in its environment."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from local.environment import PROCESS_MARK

STOP_GRACE_S = 10
"""Ministack does not end on SIGTERM while a custom resource is pending, so after this comes SIGKILL."""


def running(directory: Path) -> list[int]:
    """Ids of the living processes whose environment names `directory` as their owner, oldest first.

    A mark survives what a process id file cannot: a killed emulator, a child in its own session, a reused id.
    """
    mark = f"{PROCESS_MARK}={directory}"
    found = _marked_in_proc(mark) if Path("/proc/self/environ").exists() else _marked_in_ps(mark)
    return sorted(found)


def _marked_in_proc(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # another user's, or gone meanwhile
            continue
        if mark.encode() in variables:
            found.append(int(entry.name))
    return found


def _marked_in_ps(mark: str) -> list[int]:
    listing = subprocess.run(["ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True, check=True)  # noqa: S607
    return [int(line.split()[0]) for line in listing.stdout.splitlines() if f" {mark} " in f"{line} "]


def stop(directory: Path, grace_s: float = STOP_GRACE_S) -> list[int]:
    """End every process of this local system, politely first; returns the ids it found."""
    first = remaining = running(directory)
    deadline = time.monotonic() + grace_s
    for pid in first:
        _signal(pid, signal.SIGTERM)
    while remaining and time.monotonic() < deadline:
        time.sleep(0.05)
        remaining = running(directory)
    while remaining:
        for pid in remaining:
            _signal(pid, signal.SIGKILL)
        time.sleep(0.05)
        remaining = running(directory)
    return first


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
