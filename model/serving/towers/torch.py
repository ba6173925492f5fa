"""The towers on a GPU, run by torch: for images one CUDA graph per batch size, pinned copies, a stream per worker.

A graph replays all kernels of a batch with one call, where Python would need longer to launch them than a small batch
takes (https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs). It has fixed inputs and so fixed sizes: a batch
is padded to the next of them. With two workers one batch is copied while the other is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from model.clip.encode import Clip

BATCH_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""No batch is padded by more than half of itself."""

WARM_UPS = 3
"""Runs before a capture: libraries choose their kernels in the first ones."""


class TorchTowers:
    """A Clip's own towers. Without a GPU the same happens step by step."""

    def __init__(self, clip: Clip, workers: int) -> None:
        self.batch_sizes = BATCH_SIZES
        self.workers = [_Worker(clip) for _ in range(workers)]
        self.embed_texts = clip.embed_texts


class _Worker:
    """Buffers, a stream and graphs of its own; the graphs share their memory, as they never run at the same time."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._on_gpu = clip.device.type == "cuda"
        blank = clip.blank_pixels(BATCH_SIZES[-1])
        self._staged = blank.pin_memory() if self._on_gpu else blank
        self._pixels = blank.to(clip.device)
        self._stream = torch.cuda.Stream() if self._on_gpu else None  # type: ignore[no-untyped-call]
        self._memory = torch.cuda.graph_pool_handle() if self._on_gpu else None
        self._runs = {size: self._prepared(size) for size in reversed(BATCH_SIZES)}

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        images = len(pixels)
        run = self._runs[next(size for size in BATCH_SIZES if size >= images)]
        with torch.cuda.stream(self._stream):
            self._staged[:images].copy_(pixels)
            self._pixels[:images].copy_(self._staged[:images], non_blocking=True)
            return run()[:images].cpu()

    def _prepared(self, size: int) -> Callable[[], Tensor]:
        """What embeds the first `size` images of the buffer, used once: on a GPU a CUDA graph, whose result is
        overwritten by the next run.
        """
        pixels = self._pixels[:size]
        if self._stream is None:
            return lambda: self._clip.encode_images(pixels)
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            for _ in range(WARM_UPS):
                self._clip.encode_images(pixels)
            self._stream.synchronize()
            with torch.cuda.graph(graph, self._memory, self._stream):
                embeds = self._clip.encode_images(pixels)

        def replay() -> Tensor:
            graph.replay()
            return embeds

        return replay
