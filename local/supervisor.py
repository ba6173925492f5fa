"""The emulator's process: started once, found again, cleaned up after, ended."""

import contextlib
import fcntl
import http.client
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

from local import processes
from local.environment import emulator_environment
from local.settings import DEFAULT_PORT, DIRECTORY_VARIABLE, PORT_VARIABLE, LocalError, LocalSettings

START_TIMEOUT_S = 60
PROBE_TIMEOUT_S = 5
PROBE_PAUSE_S = 0.1


class NotAnswering(LocalError):
    """The emulator's process lives, but nothing answers on its port."""


@contextlib.contextmanager
def exclusive(settings: LocalSettings) -> Iterator[None]:
    """Keep a second `up` or `destroy` of the same system out; raises LocalError if one is at work."""
    _own_directory(settings)
    with settings.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(f"Another command is changing the system in {settings.directory}. Wait for it.") from None
        yield


def is_running(settings: LocalSettings) -> bool:
    """Whether our emulator lives, which its process decides: a busy one is waited for.

    Raises NotAnswering if it lives but stays silent, LocalError if it listens on another port.
    """
    _check_port(settings)
    deadline = time.monotonic() + settings.answer_timeout_s
    while (pid := emulator_pid(settings)) is not None:
        if _answers(settings):
            return True
        if time.monotonic() > deadline:
            raise NotAnswering(
                f"The emulator's process {pid} lives, but has not answered on port {settings.port} for "
                f"{settings.answer_timeout_s:g} s. It may be busy: wait and try again. If it never answers, "
                "`make local-destroy` ends it, and what it holds is lost."
            )
        time.sleep(PROBE_PAUSE_S)
    return False


def emulator_pid(settings: LocalSettings) -> int | None:
    """Its process id while it lives."""
    if not settings.pid_file.exists():
        return None
    pid = int(settings.pid_file.read_text())
    return pid if pid in processes.running(settings.directory) else None


def clear_stale(settings: LocalSettings) -> str:
    """Remove what a dead emulator left: its processes and files. Returns a sentence about it, or nothing.

    Raises LocalError while the emulator lives: all that the system holds is in its memory.
    """
    if pid := emulator_pid(settings):
        raise LocalError(
            f"The emulator's process {pid} lives, so nothing of it is stale. `make local-destroy` ends it."
        )
    had_started = settings.pid_file.exists()
    left = processes.stop(settings.directory)
    if not left and not had_started:
        return ""
    reason = "The emulator was killed since the last start" if had_started else "The state folder had been removed"
    for path in settings.directory.iterdir():
        if path in (settings.owner_mark, settings.lock):
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return (
        f"{reason}, and all the system held was in memory: ended {len(left)} process(es) it left, "
        f"cleared {settings.directory}; everything is built anew."
    )


def start(settings: LocalSettings) -> subprocess.Popen[bytes]:
    """Start the emulator, which outlives this process, and return it once it answers.

    Raises LocalError if the port is taken or the emulator does not come up.
    """
    if not processes.port_is_free(settings.port):
        other = DEFAULT_PORT + 1 if settings.port == DEFAULT_PORT else DEFAULT_PORT
        raise LocalError(
            f"Port {settings.port} is in use by another program. Stop that one, or choose another port: "
            f"{PORT_VARIABLE}={other} make local"
        )
    settings.temporary.mkdir(exist_ok=True)
    with settings.emulator_log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.emulator"],
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
    while not _answers(settings):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = settings.emulator_log.read_text(errors="replace")[-1500:]
            raise LocalError(f"The emulator did not start. The end of {settings.emulator_log}:\n{tail}")
        time.sleep(0.1)
    return process


def remove(settings: LocalSettings) -> list[int]:
    """End every process, remove the state folder, and check both; returns the ids that were ended."""
    ended = processes.stop(settings.directory)
    shutil.rmtree(settings.directory)
    if still := processes.running(settings.directory):
        raise LocalError(f"These processes of the local system would not end: {still}.")
    return ended


def _check_port(settings: LocalSettings) -> None:
    recorded = settings.port_file.read_text() if settings.port_file.exists() else str(settings.port)
    if recorded != str(settings.port) and emulator_pid(settings) is not None:
        raise LocalError(
            f"The system in {settings.directory} runs on port {recorded}, and {PORT_VARIABLE} is {settings.port}. "
            f"Unset it, or name another folder in {DIRECTORY_VARIABLE} for a second system."
        )


def _answers(settings: LocalSettings) -> bool:
    timeout_s = min(PROBE_TIMEOUT_S, settings.answer_timeout_s)
    try:
        with urllib.request.urlopen(f"{settings.endpoint_url}/_ministack/health", timeout=timeout_s) as response:  # noqa: S310
            return bool(response.status == 200)
    except (OSError, http.client.HTTPException):
        return False


def _own_directory(settings: LocalSettings) -> None:
    """Mark the folder as ours, so that removing it later removes nothing of anybody else's."""
    if settings.directory.exists() and any(settings.directory.iterdir()) and not settings.owner_mark.exists():
        raise LocalError(
            f"{settings.directory} holds files that local mode did not make. Name a new folder in WORDSIGHT_LOCAL_DIR."
        )
    settings.directory.mkdir(parents=True, exist_ok=True)
    settings.owner_mark.touch()
