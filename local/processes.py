"""The processes of one local system, each of which carries our mark: the emulator's, started and found again, and all
that it starts, which end with it."""

import contextlib
import fcntl
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from local.settings import (
    DEFAULT_PORT,
    DIRECTORY_VARIABLE,
    PORT_VARIABLE,
    PROCESS_MARK,
    LocalError,
    LocalSettings,
    emulator_environment,
)

HEALTH_PATH = "/_ministack/health"
START_TIMEOUT_S = 60
PROBE_TIMEOUT_S = 5
PAUSE_S = 0.05
STOP_GRACE_S = 10
"""Ministack does not end on SIGTERM while a custom resource is pending, so after this comes SIGKILL."""


class NotAnswering(LocalError):
    """The emulator's process lives, but nothing answers on its port."""


@contextlib.contextmanager
def exclusive(settings: LocalSettings) -> Iterator[None]:
    """Keep a second `up` or `destroy` of the same system out; raises LocalError if one is at work.

    The folder is marked as ours, so that removing it later removes nothing of anybody else's.
    """
    if settings.directory.exists() and any(settings.directory.iterdir()) and not settings.owner_mark.exists():
        raise LocalError(
            f"{settings.directory} holds files that local mode did not make. Name a new folder in WORDSIGHT_LOCAL_DIR."
        )
    settings.directory.mkdir(parents=True, exist_ok=True)
    settings.owner_mark.touch()
    with settings.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(f"Another command is changing the system in {settings.directory}. Wait for it.") from None
        yield


def start(settings: LocalSettings, program: str = "local.emulator") -> subprocess.Popen[bytes]:
    """Start the emulator, which outlives this process, and return it once it answers. `program` is the module that runs
    it.

    Raises LocalError if the port is taken or the emulator does not come up.
    """
    if not port_is_free(settings.port):
        other = DEFAULT_PORT + 1 if settings.port == DEFAULT_PORT else DEFAULT_PORT
        raise LocalError(
            f"Port {settings.port} is in use by another program. Stop that one, or choose another port: "
            f"{PORT_VARIABLE}={other} make local"
        )
    settings.temporary.mkdir(exist_ok=True)
    with settings.emulator_log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - a program of ours
            [sys.executable, "-m", program],
            cwd=settings.repository,
            env=emulator_environment(settings, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    settings.pid_file.write_text(str(process.pid))
    settings.port_file.write_text(str(settings.port))
    deadline = time.monotonic() + START_TIMEOUT_S
    while not answers(settings.endpoint_url + HEALTH_PATH, PROBE_TIMEOUT_S):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = settings.emulator_log.read_text(errors="replace")[-1500:]
            raise LocalError(f"The emulator did not start. The end of {settings.emulator_log}:\n{tail}")
        time.sleep(PAUSE_S)
    return process


def is_running(settings: LocalSettings) -> bool:
    """Whether our emulator lives, which its process decides: a busy one is waited for.

    Raises NotAnswering if it lives but stays silent, LocalError if it listens on another port.
    """
    recorded = settings.port_file.read_text() if settings.port_file.exists() else str(settings.port)
    if recorded != str(settings.port) and emulator_pid(settings) is not None:
        raise LocalError(
            f"The system in {settings.directory} runs on port {recorded}, and {PORT_VARIABLE} is {settings.port}. "
            f"Unset it, or name another folder in {DIRECTORY_VARIABLE} for a second system."
        )
    deadline = time.monotonic() + settings.answer_timeout_s
    while (pid := emulator_pid(settings)) is not None:
        if answers(settings.endpoint_url + HEALTH_PATH, min(PROBE_TIMEOUT_S, settings.answer_timeout_s)):
            return True
        if time.monotonic() > deadline:
            raise NotAnswering(
                f"The emulator's process {pid} lives, but has not answered on port {settings.port} for "
                f"{settings.answer_timeout_s:g} s. It may be busy: wait and try again. If it never answers, "
                "`make local-destroy` ends it, and what it holds is lost."
            )
        time.sleep(PAUSE_S)
    return False


def emulator_pid(settings: LocalSettings) -> int | None:
    """Its process id while it lives."""
    if not settings.pid_file.exists():
        return None
    pid = int(settings.pid_file.read_text())
    return pid if pid in running(settings.directory) else None


def clear_stale(settings: LocalSettings) -> str:
    """Remove what a dead emulator left: its processes and files. Returns a sentence about it, or nothing.

    Raises LocalError while the emulator lives: all that the system holds is in its memory.
    """
    if pid := emulator_pid(settings):
        nothing = f"The emulator's process {pid} lives, so nothing of it is stale."
        raise LocalError(f"{nothing} `make local-destroy` ends it.")
    had_started = settings.pid_file.exists()
    left = stop(settings.directory)
    if not left and not had_started:
        return ""
    reason = "The emulator was killed since the last start" if had_started else "The state folder had been removed"
    for path in set(settings.directory.iterdir()) - {settings.owner_mark, settings.lock}:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return (
        f"{reason}, and all the system held was in memory: ended {len(left)} process(es) it left, "
        f"cleared {settings.directory}; everything is built anew."
    )


def remove(settings: LocalSettings) -> list[int]:
    """End every process, remove the state folder, and check both; returns the ids that were ended."""
    ended = stop(settings.directory)
    shutil.rmtree(settings.directory)
    if still := running(settings.directory):
        raise LocalError(f"These processes of the local system would not end: {still}.")
    return ended


def running(directory: Path) -> list[int]:
    """Ids of the living processes whose environment names `directory` as their owner, oldest first.

    A mark survives what a process id file cannot: a killed emulator, a child in its own session, a reused id.
    """
    mark = f"{PROCESS_MARK}={directory}"
    if not Path("/proc/self/environ").exists():
        return sorted(_marked_in_ps(mark))
    marked = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # another user's, or gone meanwhile
            if mark.encode() in environ.read_bytes().split(b"\0"):
                marked.append(int(environ.parent.name))
    return sorted(marked)


def _marked_in_ps(mark: str) -> Iterator[int]:
    listing = subprocess.run(["ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True, check=True)  # noqa: S607
    return (int(line.split()[0]) for line in listing.stdout.splitlines() if f" {mark} " in f"{line} ")


def stop(directory: Path, grace_s: float = STOP_GRACE_S) -> list[int]:
    """End every process of this local system, politely first; returns the ids it found."""
    first = remaining = running(directory)
    deadline = time.monotonic() + grace_s
    _signal(first, signal.SIGTERM)
    while remaining:
        if time.monotonic() >= deadline:
            _signal(remaining, signal.SIGKILL)
        time.sleep(PAUSE_S)
        remaining = running(directory)
    return first


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def answers(url: str, timeout_s: float) -> bool:
    """Whether a GET of `url`, on this machine, is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:  # noqa: S310
            return bool(response.status == 200)
    except (OSError, http.client.HTTPException):
        return False


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
