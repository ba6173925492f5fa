"""One process, or torchrun: how many training processes this container starts.

SageMaker names the hosts in resourceconfig.json; every host starts the same program and finds its place there.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

MASTER_PORT = 7777


@dataclass(frozen=True)
class Cluster:
    """The hosts of a job, the same list on each of them, and which one this is."""

    hosts: tuple[str, ...]
    current: str
    processes_per_host: int

    @classmethod
    def read(cls, resource_file: Path) -> "Cluster":
        """From resourceconfig.json; a machine without one is a cluster of its own. One process per GPU, at least 1."""
        processes = max(1, torch.cuda.device_count())
        if not resource_file.is_file():
            return cls(("localhost",), "localhost", processes)
        resources = json.loads(resource_file.read_bytes())
        return cls(tuple(sorted(resources["hosts"])), resources["current_host"], processes)

    @property
    def processes(self) -> int:
        """How many there are on all hosts together."""
        return len(self.hosts) * self.processes_per_host

    def torchrun(self, arguments: Sequence[str]) -> list[str]:
        """The command that starts this host's processes."""
        return [
            sys.executable, "-m", "torch.distributed.run",
            f"--nnodes={len(self.hosts)}", f"--nproc-per-node={self.processes_per_host}",
            f"--node-rank={self.hosts.index(self.current)}",
            f"--master-addr={self.hosts[0]}", f"--master-port={MASTER_PORT}",
            "-m", "model.training", *arguments,
        ]  # fmt: skip


def is_worker(environ: Mapping[str, str]) -> bool:
    """Whether torchrun has already started this process."""
    return "RANK" in environ


def run_workers(command: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Run torchrun to its end and return its status; a SIGTERM goes on to it, and so to every worker. None: they see
    the environment of this process.
    """
    workers: subprocess.Popen[bytes] | None = None
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True
        if workers is not None:
            workers.terminate()

    previous = signal.signal(signal.SIGTERM, stop)  # first: a signal that finds no handler would leave orphans
    try:
        workers = subprocess.Popen(command, env=environ)  # noqa: S603 - our own interpreter and module
        if stopped:
            workers.terminate()
        return workers.wait()
    finally:
        signal.signal(signal.SIGTERM, previous)
