"""`Clip`: a checkpoint as two encoders into one space of unit vectors.

Learning Transferable Visual Models From Natural Language Supervision, Radford et al. 2021, section 2.3.
Shapes: B images, T texts, N tokens, D width of the shared space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from model.checkpoint import Checkpoint
from model.embedding import embed_pixels, embed_tokens, pixel_values, read_texts

IMAGE_BATCH = 16
"""Bounds one turn on the device, so that a request of many images can't hold up those behind it."""


@dataclass(frozen=True)
class TextEmbedding:
    """A text as a unit vector [D], fp32, on the CPU. `truncated`: the text was longer than the model reads."""

    vector: torch.Tensor
    truncated: bool


class Clip:
    """The two encoders of a checkpoint. Its methods may run in any thread; the encoders want one at a time."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.version = checkpoint.metadata.version
        self.calibration = checkpoint.metadata.calibration
        self.context_length = checkpoint.context_length
        self.logit_scale = float(checkpoint.model.logit_scale.detach().float().exp())
        self._model = checkpoint.model
        self._tokenizer = checkpoint.tokenizer
        self._processor = checkpoint.processor

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """Resize, crop and normalize an RGB image as `preprocessor_config.json` says: [3, height, width], fp32."""
        return pixel_values(self._processor, [image])[0]

    @torch.inference_mode()
    def embed_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """One batch of preprocessed images [B, 3, height, width] as unit vectors [B, D], fp32, on the CPU."""
        return embed_pixels(self._model, pixels).cpu()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """One batch of texts as unit vectors, in order; what exceeds `context_length` tokens is cut off and said so."""
        tokens = read_texts(self._tokenizer, texts, self.context_length)
        # cloned: a view would keep the whole batch in memory for as long as one of its texts is cached
        vectors = [vector.clone() for vector in embed_tokens(self._model, tokens).cpu()]
        cut = [bool(encoding.overflowing) for encoding in tokens.encodings]
        return [TextEmbedding(vector, truncated) for vector, truncated in zip(vectors, cut, strict=True)]
