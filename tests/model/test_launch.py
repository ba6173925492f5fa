"""Which processes a container starts."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from model.launch import Cluster, is_worker, run_workers


def test_a_machine_without_a_resource_file_runs_one_process(tmp_path: Path) -> None:
    cluster = Cluster.read(tmp_path / "absent.json")
    assert cluster.hosts == ("localhost",) and cluster.processes == cluster.processes_per_host


def test_every_host_finds_its_place_in_the_same_order(tmp_path: Path) -> None:
    resources = tmp_path / "resourceconfig.json"
    resources.write_text(json.dumps({"hosts": ["algo-2", "algo-1"], "current_host": "algo-2"}))
    command = Cluster.read(resources).torchrun(["seed=1"])
    assert {"--nnodes=2", "--node-rank=1", "--master-addr=algo-1"} <= set(command)
    assert command[-3:] == ["-m", "model.train", "seed=1"]


def test_a_process_with_a_rank_is_a_worker() -> None:
    assert is_worker({"RANK": "0"}) and not is_worker({})


def test_the_status_of_the_workers_is_passed_on() -> None:
    assert run_workers([sys.executable, "-c", "raise SystemExit(3)"]) == 3


def test_a_stop_signal_reaches_the_workers() -> None:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert run_workers([sys.executable, "-c", "import time; time.sleep(30)"]) == -signal.SIGTERM
