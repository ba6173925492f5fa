"""`Clip`: a checkpoint as two encoders into one space of unit vectors.

Learning Transferable Visual Models From Natural Language Supervision, Radford et al. 2021, section 2.3.
Shapes: B images, T texts, N tokens, D width of the shared space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch.nn.functional import normalize

from model.checkpoint import Checkpoint

IMAGE_BATCH = 16
TEXT_BATCH = 64
"""Bounds one turn on the device, so that a long request can't hold up the short ones behind it."""


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

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self._model.device
        return device

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """Resize, crop and normalize an RGB image as `preprocessor_config.json` says: [3, height, width], fp32."""
        pixel_values: torch.Tensor = self._processor(images=[image], return_tensors="pt")["pixel_values"]
        return pixel_values[0]

    @torch.inference_mode()
    def embed_images(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Preprocessed images [B, 3, height, width] as unit vectors [B, D], fp32, on the CPU."""
        batch = pixel_values.to(self.device, self._model.dtype)
        image_embeds = self._model.get_image_features(pixel_values=batch).pooler_output  # [B, D]
        return normalize(image_embeds.float(), dim=-1).cpu()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """Texts as unit vectors, in order; what exceeds `context_length` tokens is cut off and said so.

        Texts of similar length share a batch. Padding costs time but changes nothing: the text tower is causal and is
        read at the end token.
        """
        tokens = self._tokenizer(list(texts), truncation=True, max_length=self.context_length)
        by_length = sorted(range(len(texts)), key=lambda index: len(tokens["input_ids"][index]))
        found: dict[int, TextEmbedding] = {}
        for start in range(0, len(texts), TEXT_BATCH):
            chosen = by_length[start : start + TEXT_BATCH]
            padded = self._tokenizer.pad(
                {"input_ids": [tokens["input_ids"][index] for index in chosen]}, return_tensors="pt"
            )
            text_embeds = self._model.get_text_features(**padded.to(self.device)).pooler_output  # [T, N] -> [T, D]
            vectors = normalize(text_embeds.float(), dim=-1).cpu()
            for index, vector in zip(chosen, vectors, strict=True):
                # cloned: a view would keep the whole batch in memory for as long as one of its texts is cached
                found[index] = TextEmbedding(vector.clone(), bool(tokens.encodings[index].overflowing))
        return [found[index] for index in range(len(texts))]
