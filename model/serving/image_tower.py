"""What the server asks of an image tower, whatever runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

Embed = Callable[[Tensor], Tensor]
"""One batch of images, uint8 [B, 3, height, width], as unit vectors [B, D], fp32; both on the CPU."""


class ImageTower(Protocol):
    """An image tower that is ready for so many threads at a time."""

    @property
    def workers(self) -> int:
        """How many threads may embed at a time."""

    @property
    def batch_sizes(self) -> Sequence[int]:
        """For how many images at a time it was made, ascending; others cost as much as the next larger one."""

    def worker(self) -> Embed:
        """What one of those threads, and no other, embeds with."""
