"""The emulator's process with a real emulator: started, found, killed, cleaned up after."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from local import processes, supervisor
from local.environment import PROCESS_MARK
from local.settings import LocalError, LocalSettings
from tests.local.conftest import free_port

LISTEN, LOOPBACK = "0A", "0100007F"
"""As /proc/net/tcp writes the socket's state and 127.0.0.1."""


def test_an_emulator_is_started_found_again_and_removed_without_a_trace(settings: LocalSettings) -> None:
    with supervisor.exclusive(settings):
        emulator = supervisor.start(settings)
    assert supervisor.is_running(settings)
    assert supervisor.emulator_pid(settings) == emulator.pid
    assert supervisor.remove(settings) == [emulator.pid]
    emulator.wait()
    assert not settings.directory.exists()
    assert processes.port_is_free(settings.port)
    assert processes.running(settings.directory) == []


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's list of listening sockets")
def test_the_emulator_listens_on_loopback_only(settings: LocalSettings) -> None:
    with supervisor.exclusive(settings):
        emulator = supervisor.start(settings)
    listening = [row.split() for name in ("tcp", "tcp6") for row in Path("/proc/net", name).read_text().splitlines()]
    sockets = {Path(entry).readlink().name for entry in Path(f"/proc/{emulator.pid}/fd").iterdir()}
    addresses = {row[1] for row in listening if row[3] == LISTEN and f"socket:[{row[9]}]" in sockets}
    assert addresses == {f"{LOOPBACK}:{settings.port:04X}"}
    supervisor.remove(settings)
    emulator.wait()


def test_after_a_kill_the_leftovers_are_ended_and_the_next_start_works(settings: LocalSettings) -> None:
    with supervisor.exclusive(settings):
        emulator = supervisor.start(settings)
        orphan = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"],
            env={**os.environ, PROCESS_MARK: str(settings.directory)},
            start_new_session=True,
        )
        emulator.kill()
        emulator.wait()
        assert not supervisor.is_running(settings)
        assert "killed since the last start" in supervisor.clear_stale(settings)
        assert orphan.wait(5) == -signal.SIGTERM
        emulator = supervisor.start(settings)
        assert supervisor.is_running(settings)
    supervisor.remove(settings)
    emulator.wait()


def test_a_busy_emulator_is_neither_dead_nor_stale(settings: LocalSettings) -> None:
    impatient = replace(settings, answer_timeout_s=0.2)
    with supervisor.exclusive(settings):
        emulator = supervisor.start(settings)
        os.kill(emulator.pid, signal.SIGSTOP)
        with pytest.raises(supervisor.NotAnswering, match=f"process {emulator.pid} lives, but has not answered"):
            supervisor.is_running(impatient)
        with pytest.raises(LocalError, match=f"process {emulator.pid} lives, so nothing of it is stale"):
            supervisor.clear_stale(settings)
        os.kill(emulator.pid, signal.SIGCONT)
        assert supervisor.is_running(settings)
    supervisor.remove(settings)
    emulator.wait()


def test_a_system_on_another_port_is_not_dead(settings: LocalSettings) -> None:
    with supervisor.exclusive(settings):
        emulator = supervisor.start(settings)
        with pytest.raises(LocalError, match=rf"runs on port {settings.port}, and WORDSIGHT_LOCAL_PORT is"):
            supervisor.is_running(replace(settings, port=free_port()))
    supervisor.remove(settings)
    emulator.wait()


def test_a_fresh_folder_has_nothing_stale(settings: LocalSettings) -> None:
    with supervisor.exclusive(settings):
        assert supervisor.clear_stale(settings) == ""


def test_a_process_id_that_another_program_has_taken_over_is_not_ours(settings: LocalSettings) -> None:
    with supervisor.exclusive(settings):
        settings.pid_file.write_text(str(os.getpid()))
        assert supervisor.emulator_pid(settings) is None
        supervisor.clear_stale(settings)
    assert not settings.pid_file.exists()


def test_a_busy_port_is_named_with_the_way_out(settings: LocalSettings) -> None:
    with socket.socket() as other, supervisor.exclusive(settings):
        other.bind(("127.0.0.1", settings.port))
        other.listen()
        with pytest.raises(LocalError, match=f"Port {settings.port} is in use.*WORDSIGHT_LOCAL_PORT=4566 make local"):
            supervisor.start(settings)


def test_two_commands_cannot_change_one_system_at_once(settings: LocalSettings) -> None:
    with (
        supervisor.exclusive(settings),
        pytest.raises(LocalError, match="Another command"),
        supervisor.exclusive(settings),
    ):
        pass


def test_a_folder_with_other_peoples_files_is_left_alone(settings: LocalSettings) -> None:
    settings.directory.mkdir()
    (settings.directory / "thesis.tex").touch()
    with pytest.raises(LocalError, match="holds files that local mode did not make"), supervisor.exclusive(settings):
        pass
    assert (settings.directory / "thesis.tex").exists()
