"""What the server asks of a CLIP's two towers, whatever runs them."""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from model.clip.processing import TextEmbedding

Embed = Callable[[Tensor], Tensor]
"""One batch of images, uint8 [B, 3, height, width], as unit vectors [B, D], fp32; both on the CPU."""


class Towers(Protocol):
    """Towers that are ready to embed several batches at a time."""

    @property
    def workers(self) -> Sequence[Embed]:
        """What embeds images, once for every batch that may be computed at a time; each is for one thread at a time."""

    @property
    def batch_sizes(self) -> Sequence[int]:
        """For how many images at a time it was made, ascending; others cost as much as the next larger one."""

    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """One batch of texts, in any thread."""
