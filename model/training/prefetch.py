"""Prefetching: the batch of the next step is prepared while the present one is computed."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from model.clip.preprocess import ImageProcessor, normalized, resized
from model.data.batch import Batch, Examples
from model.data.crops import cropped
from model.training.distributed import Ranks


class Prefetcher:
    """This rank's part of every batch, and `waited_s`: how long the run has waited for it."""

    def __init__(self, examples: Examples, processor: ImageProcessor, ranks: Ranks, threads: int) -> None:
        self.examples = examples
        self.processor = processor
        self.ranks = ranks
        self.waited_s = 0.0
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="prefetcher")
        self._decoders = ThreadPoolExecutor(threads, thread_name_prefix="decoder")
        self._next: tuple[int, Future[tuple[Batch, Tensor]]] | None = None

    def read(self, step: int, size: int) -> tuple[Batch, Tensor]:
        """The `size` images of a step, of which only this rank's are prepared; the step after it is begun."""
        since_s = time.monotonic()
        if self._next is None or self._next[0] != step:
            self._next = (step, self._ahead.submit(self._prepare, step, size))
        batch, pixels = self._next[1].result()
        self.waited_s += time.monotonic() - since_s
        self._next = (step + 1, self._ahead.submit(self._prepare, step + 1, size))
        return batch, pixels

    def pixels(self, rows: tuple[int, ...]) -> NDArray[np.uint8]:
        """The images of rows, resized and cropped: [rows, 3, height, width]"""
        return np.stack(list(self._decoders.map(self._resized, rows)))

    def close(self) -> None:
        """Stop reading ahead; `pixels` goes on to answer."""
        self._ahead.shutdown(cancel_futures=True)

    def _prepare(self, step: int, size: int) -> tuple[Batch, Tensor]:
        batch = self.examples.batch(step, size)
        shown = self.pixels(self.ranks.share((*batch.rows, *batch.reference)))
        if batch.crops is not None:
            crops = self.ranks.share(batch.crops)
            shown = np.stack(list(self._decoders.map(cropped, shown, crops)))
        return batch, normalized(self.processor, shown)

    def _resized(self, row: int) -> NDArray[np.uint8]:
        picture = self.examples.image(row)
        return picture if isinstance(picture, np.ndarray) else resized(self.processor, picture)
