import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import processes
from local.environment import PROCESS_MARK

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def stubborn(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A marked process in a session of its own that ignores SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN],
        env={**os.environ, PROCESS_MARK: str(tmp_path)},
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_only_processes_with_this_systems_mark_are_found(stubborn: subprocess.Popen[str], tmp_path: Path) -> None:
    assert processes.running(tmp_path) == [stubborn.pid]
    assert processes.running(tmp_path / "another") == []


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is how a machine without /proc is asked")
def test_ps_finds_the_same_processes(stubborn: subprocess.Popen[str], tmp_path: Path) -> None:
    assert processes._marked_in_ps(f"{PROCESS_MARK}={tmp_path}") == [stubborn.pid]


def test_a_process_that_ignores_sigterm_is_ended_all_the_same(stubborn: subprocess.Popen[str], tmp_path: Path) -> None:
    assert processes.stop(tmp_path, grace_s=0.2) == [stubborn.pid]
    assert stubborn.wait(5) == -9


def test_a_port_is_free_until_somebody_listens_on_it() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        server.listen()
        assert not processes.port_is_free(port)
    assert processes.port_is_free(port)
