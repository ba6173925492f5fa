"""The processes of a local system, with a real emulator: started, found, killed, cleaned up after."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local import processes
from local.processes import free_port
from local.settings import PROCESS_MARK, LocalError, LocalSettings

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
LISTEN, LOOPBACK = "0A", "0100007F"
"""As /proc/net/tcp writes the socket's state and 127.0.0.1."""


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
    assert list(processes._marked_in_ps(f"{PROCESS_MARK}={tmp_path}")) == [stubborn.pid]


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


def test_an_emulator_is_started_found_again_and_removed_without_a_trace(settings: LocalSettings) -> None:
    with processes.exclusive(settings):
        emulator = processes.start(settings)
    assert processes.is_running(settings)
    assert processes.emulator_pid(settings) == emulator.pid
    assert processes.remove(settings) == [emulator.pid]
    emulator.wait()
    assert not settings.directory.exists()
    assert processes.port_is_free(settings.port)
    assert processes.running(settings.directory) == []


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's list of listening sockets")
def test_the_emulator_listens_on_loopback_only(settings: LocalSettings) -> None:
    with processes.exclusive(settings):
        emulator = processes.start(settings)
    listening = [row.split() for name in ("tcp", "tcp6") for row in Path("/proc/net", name).read_text().splitlines()]
    sockets = {Path(entry).readlink().name for entry in Path(f"/proc/{emulator.pid}/fd").iterdir()}
    addresses = {row[1] for row in listening if row[3] == LISTEN and f"socket:[{row[9]}]" in sockets}
    assert addresses == {f"{LOOPBACK}:{settings.port:04X}"}
    processes.remove(settings)
    emulator.wait()


def test_after_a_kill_the_leftovers_are_ended_and_the_next_start_works(settings: LocalSettings) -> None:
    with processes.exclusive(settings):
        emulator = processes.start(settings)
        orphan = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"],
            env={**os.environ, PROCESS_MARK: str(settings.directory)},
            start_new_session=True,
        )
        emulator.kill()
        emulator.wait()
        assert not processes.is_running(settings)
        assert "killed since the last start" in processes.clear_stale(settings)
        assert orphan.wait(5) == -signal.SIGTERM
        emulator = processes.start(settings)
        assert processes.is_running(settings)
    processes.remove(settings)
    emulator.wait()


def test_a_busy_emulator_is_neither_dead_nor_stale(settings: LocalSettings) -> None:
    impatient = replace(settings, answer_timeout_s=0.2)
    with processes.exclusive(settings):
        emulator = processes.start(settings)
        os.kill(emulator.pid, signal.SIGSTOP)
        with pytest.raises(processes.NotAnswering, match=f"process {emulator.pid} lives, but has not answered"):
            processes.is_running(impatient)
        with pytest.raises(LocalError, match=f"process {emulator.pid} lives, so nothing of it is stale"):
            processes.clear_stale(settings)
        os.kill(emulator.pid, signal.SIGCONT)
        assert processes.is_running(settings)
    processes.remove(settings)
    emulator.wait()


def test_a_system_on_another_port_is_not_dead(settings: LocalSettings) -> None:
    with processes.exclusive(settings):
        emulator = processes.start(settings)
        with pytest.raises(LocalError, match=rf"runs on port {settings.port}, and WORDSIGHT_LOCAL_PORT is"):
            processes.is_running(replace(settings, port=free_port()))
    processes.remove(settings)
    emulator.wait()


def test_a_fresh_folder_has_nothing_stale(settings: LocalSettings) -> None:
    with processes.exclusive(settings):
        assert processes.clear_stale(settings) == ""


def test_a_process_id_that_another_program_has_taken_over_is_not_ours(settings: LocalSettings) -> None:
    with processes.exclusive(settings):
        settings.pid_file.write_text(str(os.getpid()))
        assert processes.emulator_pid(settings) is None
        processes.clear_stale(settings)
    assert not settings.pid_file.exists()


def test_a_busy_port_is_named_with_the_way_out(settings: LocalSettings) -> None:
    with socket.socket() as other, processes.exclusive(settings):
        other.bind(("127.0.0.1", settings.port))
        other.listen()
        with pytest.raises(LocalError, match=f"Port {settings.port} is in use.*WORDSIGHT_LOCAL_PORT=4566 make local"):
            processes.start(settings)


def test_two_commands_cannot_change_one_system_at_once(settings: LocalSettings) -> None:
    with (
        processes.exclusive(settings),
        pytest.raises(LocalError, match="Another command"),
        processes.exclusive(settings),
    ):
        pass


def test_a_folder_with_other_peoples_files_is_left_alone(settings: LocalSettings) -> None:
    settings.directory.mkdir()
    (settings.directory / "thesis.tex").touch()
    with pytest.raises(LocalError, match="holds files that local mode did not make"), processes.exclusive(settings):
        pass
    assert (settings.directory / "thesis.tex").exists()
