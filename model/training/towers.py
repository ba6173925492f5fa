"""Both towers of a model as a step runs them: in a precision, and in chunks where the batch would not fit.

A chunk's activations are dropped and computed again when its gradient is due, so that memory holds one chunk at a time
and the loss still sees the whole batch (GradCache, Gao et al. 2021). The vectors, and so the gradients, are the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import CLIPModel, PreTrainedModel, PreTrainedTokenizerBase

from model.clip.encode import embed_pixels, embed_tokens, read_texts

Inputs = TypeVar("Inputs", Tensor, Sequence[str])


@dataclass(frozen=True)
class Towers:
    """`bf16`: compute in bfloat16 from float32 weights. `chunk_size`: images or texts per forward, None for all."""

    model: CLIPModel
    tokenizer: PreTrainedTokenizerBase
    bf16: bool
    chunk_size: int | None

    def embed_images(self, pixels: Tensor) -> Tensor:
        """Preprocessed images [B, 3, height, width] as unit vectors [B, D], fp32."""
        return self._in_chunks(self.model.vision_model, self._images, pixels)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts as unit vectors [T, D], fp32."""
        return self._in_chunks(self.model.text_model, self._texts, texts)

    def _images(self, pixels: Tensor) -> Tensor:
        with self._precision():
            return embed_pixels(self.model, pixels)

    def _texts(self, texts: Sequence[str]) -> Tensor:
        context_length = self.model.config.text_config.max_position_embeddings
        with self._precision():
            return embed_tokens(self.model, read_texts(self.tokenizer, texts, context_length))

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.bf16)

    def _in_chunks(self, tower: PreTrainedModel, embed: Callable[[Inputs], Tensor], inputs: Inputs) -> Tensor:
        size = self.chunk_size or len(inputs)
        if len(inputs) <= size:
            return embed(inputs)
        chunks = [inputs[start : start + size] for start in range(0, len(inputs), size)]
        if not torch.is_grad_enabled() or not any(weight.requires_grad for weight in tower.parameters()):
            return torch.cat([embed(chunk) for chunk in chunks])
        return torch.cat([self._recomputed(embed, chunk) for chunk in chunks])

    def _recomputed(self, embed: Callable[[Inputs], Tensor], chunk: Inputs) -> Tensor:
        # reentrant: the other kind needs 2.7 times the memory here; it wants an input that has a gradient
        embeds: Tensor = checkpoint(lambda chunk, _: embed(chunk), chunk, self.model.logit_scale, use_reentrant=True)
        return embeds
