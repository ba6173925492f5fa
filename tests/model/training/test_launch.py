"""Which processes a container starts."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.training.launch import Cluster, is_worker, run_workers


def test_a_machine_without_a_resource_file_runs_one_process(tmp_path: Path) -> None:
    cluster = Cluster.read(tmp_path / "absent.json")
    assert cluster.hosts == ("localhost",) and cluster.processes == cluster.processes_per_host


def test_every_host_finds_its_place_in_the_same_order(tmp_path: Path) -> None:
    resources = tmp_path / "resourceconfig.json"
    resources.write_text(json.dumps({"hosts": ["algo-2", "algo-1"], "current_host": "algo-2"}))
    command = Cluster.read(resources).torchrun(["seed=1"])
    assert {"--nnodes=2", "--node-rank=1", "--master-addr=algo-1"} <= set(command)
    assert command[-3:] == ["-m", "model.training", "seed=1"]


def test_a_process_with_a_rank_is_a_worker() -> None:
    assert is_worker({"RANK": "0"}) and not is_worker({})


def test_the_status_of_the_workers_is_passed_on() -> None:
    assert run_workers([sys.executable, "-c", "raise SystemExit(3)"]) == 3


def test_workers_see_the_environment_that_is_given() -> None:
    command = [sys.executable, "-c", "import os; raise SystemExit(int(os.environ['STATUS']))"]
    assert run_workers(command, {"STATUS": "4"}) == 4


@pytest.fixture
def _survives_sigterm() -> Iterator[None]:
    """A signal that nobody takes would end the tests and not just fail one."""
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, previous)


@pytest.mark.usefixtures("_survives_sigterm")
def test_a_stop_signal_reaches_the_workers(tmp_path: Path) -> None:
    started = tmp_path / "started"

    def stop_once_started() -> None:
        while not started.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    stopping = threading.Thread(target=stop_once_started, daemon=True)
    stopping.start()
    work = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    assert run_workers([sys.executable, "-c", work, str(started)]) == -signal.SIGTERM
    stopping.join()


class StoppedAtStart(tuple[str, ...]):
    """A command whose process gets a stop signal while it is read: after the call, before there is a worker."""

    def __iter__(self) -> Iterator[str]:
        os.kill(os.getpid(), signal.SIGTERM)
        return super().__iter__()


@pytest.mark.usefixtures("_survives_sigterm")
def test_a_stop_signal_that_comes_before_the_workers_ends_them_too() -> None:
    command = StoppedAtStart([sys.executable, "-c", "import time; time.sleep(10)"])
    assert run_workers(command) == -signal.SIGTERM
