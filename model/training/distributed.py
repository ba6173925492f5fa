"""One process or many: the few collective operations that training needs, each a no-op in a single process.

Gradients are those of one process with the whole batch: every rank computes the loss over all images, the gather's
backward adds up what the ranks ask of an image, and the average over ranks undoes the repetition.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Parameter

from model.clip.device import pick_device

COLLECTIVE_TIMEOUT_S = 600


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

    def share(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """This process's equal part of a batch's rows."""
        size = len(rows) // self.count
        return rows[self.rank * size : (self.rank + 1) * size]

    def gather(self, embeds: Tensor) -> Tensor:
        """All ranks' rows in rank order, differentiable. shape = [count * rows, width]"""
        if self.count == 1:
            return embeds
        gathered: Tensor = _Gather.apply(embeds, self.rank, self.count)  # type: ignore[no-untyped-call]
        return gathered

    def average_gradients(self, weights: Iterator[Parameter]) -> None:
        """Make every rank's gradients the mean over the ranks."""
        if self.count == 1:
            return
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.count
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

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
