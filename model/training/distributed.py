"""One process or many: torchrun starts one per GPU of every host, and few collective operations join them, each a no-op
in a single process.

SageMaker names the hosts in resourceconfig.json; every host starts the same program and finds its place there.
Gradients are those of one process with the whole batch: every rank computes the loss over all images, the gather's
backward adds up what the ranks ask of an image, and the average over ranks undoes the repetition.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from model.clip.device import pick_device

T = TypeVar("T")

MASTER_PORT = 7777
COLLECTIVE_TIMEOUT_S = 600


def torchrun(resource_file: Path, arguments: Sequence[str]) -> list[str] | None:
    """The command that starts this host's processes, one per GPU and at least one; None: there is but one in all, or
    torchrun has already started this one.

    `resource_file` is resourceconfig.json; a machine without one is a cluster of its own.
    """
    processes, hosts, current = max(1, torch.cuda.device_count()), ["localhost"], "localhost"
    if resource_file.is_file():
        resources = json.loads(resource_file.read_bytes())
        hosts, current = sorted(resources["hosts"]), resources["current_host"]
    if len(hosts) * processes == 1 or "RANK" in os.environ:
        return None
    return [
        sys.executable, "-m", "torch.distributed.run",
        f"--nnodes={len(hosts)}", f"--nproc-per-node={processes}", f"--node-rank={hosts.index(current)}",
        f"--master-addr={hosts[0]}", f"--master-port={MASTER_PORT}",
        "-m", "model.training", *arguments,
    ]  # fmt: skip


@contextmanager
def on_sigterm(handle: Callable[[], object]) -> Iterator[None]:
    """Take SIGTERM in this way: SageMaker sends it on StopTrainingJob, at the time limit and before taking a spot
    instance back.
    """
    previous = signal.signal(signal.SIGTERM, lambda *_: handle())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def run_workers(command: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Run torchrun to its end and return its status; a SIGTERM goes on to it, and so to every worker. None: they see
    the environment of this process.
    """
    workers: subprocess.Popen[bytes] | None = None
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        if workers is not None:
            workers.terminate()

    with on_sigterm(stop):  # first: a signal that finds no handler would leave orphans
        workers = subprocess.Popen(command, env=environ)  # noqa: S603 - our own interpreter and module
        if stopped:
            workers.terminate()
        return workers.wait()


@dataclass(frozen=True)
class Ranks:
    """This process among its peers, as torchrun numbers them."""

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def share(self, rows: tuple[T, ...]) -> tuple[T, ...]:
        """This process's equal part of a batch's rows, or of what there is of each."""
        size = len(rows) // self.count
        return rows[self.rank * size : (self.rank + 1) * size]

    def gather(self, embeds: Tensor) -> Tensor:
        """All ranks' rows in rank order, differentiable. shape = [count * rows, width]"""
        if self.count == 1:
            return embeds
        gathered: Tensor = _Gather.apply(embeds, self.rank, self.count)  # type: ignore[no-untyped-call]
        return gathered

    def average_gradients(self, weights: Iterable[Parameter]) -> None:
        """Make every rank's gradients the mean over the ranks."""
        if self.count == 1:
            return
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        flat = parameters_to_vector(gradients)
        dist.all_reduce(flat)
        vector_to_parameters(flat / self.count, gradients)

    def any(self, flag: bool) -> bool:
        """Whether any rank raises its flag, so that all of them stop at the same step."""
        if self.count == 1:
            return flag
        raised = torch.tensor([float(flag)], device=self.device)
        dist.all_reduce(raised, op=dist.ReduceOp.MAX)
        return bool(raised.item())


class _Gather(torch.autograd.Function):
    """Every rank's rows; backwards, what all ranks ask of this rank's rows, added up."""

    @staticmethod
    def forward(ctx: Any, embeds: Tensor, rank: int, count: int) -> Tensor:
        ctx.rows = slice(rank * len(embeds), (rank + 1) * len(embeds))
        parts = [torch.empty_like(embeds) for _ in range(count)]
        dist.all_gather(parts, embeds.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0].contiguous()
        dist.all_reduce(gradient)
        return gradient[ctx.rows], None, None


@contextmanager
def joined_ranks(expect_gpu: bool = False) -> Iterator[Ranks]:
    """Join torchrun's process group, if this process was started by torchrun, and leave it at the end.

    Raises DeviceError if `expect_gpu` and this process's GPU does not compute.
    """
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = torch.device(pick_device(expect_gpu, f"cuda:{os.environ.get('LOCAL_RANK', 0)}"))
    if count == 1:
        yield Ranks(rank, count, device)
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=COLLECTIVE_TIMEOUT_S))
    try:
        yield Ranks(rank, count, device)
    finally:
        dist.destroy_process_group()
