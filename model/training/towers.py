"""Both towers of a model as a step runs them: in mixed precision, and in chunks where the batch would not fit.

A chunk's activations are dropped and computed again when its gradient is due, so that memory holds one chunk at a time
and the loss still sees the whole batch (GradCache, Gao et al. 2021). The vectors, and so the gradients, are the same.
Weights, gradients and the loss are float32 in either precision.
"""

import time
import timeit
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedTokenizerBase

from model.clip.architecture import DualEncoder, TextReader, Tower, image_tower, logit_parameters, text_tower
from model.clip.encode import embed_pixels, embed_tokens

PROBED_STEPS = 3
WORTH_IT = 1.15
"""How much faster bfloat16 must be on a CPU to be worth its rounding, and a probe to be more than noise."""

Inputs = TypeVar("Inputs", Tensor, Sequence[str])


@dataclass(frozen=True)
class Towers:
    """`bf16`: compute in bfloat16 from float32 weights. `chunk_size`: images or texts per forward at most."""

    model: DualEncoder
    tokenizer: PreTrainedTokenizerBase
    bf16: bool
    chunk_size: int

    def embed_images(self, pixels: Tensor) -> Tensor:
        """Preprocessed images [B, 3, height, width] as unit vectors [B, D], fp32."""
        return self._in_chunks(image_tower(self.model), partial(embed_pixels, self.model), pixels)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts as unit vectors [T, D], fp32."""
        read = TextReader.of(self.model, self.tokenizer)

        def embed(chunk: Sequence[str]) -> Tensor:
            return embed_tokens(self.model, read(chunk))

        return self._in_chunks(text_tower(self.model), embed, texts)

    def _in_chunks(self, tower: Tower, embed: Callable[[Inputs], Tensor], inputs: Inputs) -> Tensor:
        def forward(chunk: Inputs, *_: Tensor) -> Tensor:
            with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.bf16):
                return embed(chunk)

        if len(inputs) <= self.chunk_size:
            return forward(inputs)
        chunks = [inputs[start : start + self.chunk_size] for start in range(0, len(inputs), self.chunk_size)]
        if not torch.is_grad_enabled() or not any(weight.requires_grad for weight in tower.module.parameters()):
            return torch.cat([forward(chunk) for chunk in chunks])
        # reentrant: the other kind needs 2.7 times the memory here; it wants an input that has a gradient
        scale = logit_parameters(self.model)[0]
        return torch.cat([checkpoint(forward, chunk, scale, use_reentrant=True) for chunk in chunks])


def faster_in_bf16(step: Callable[[bool], object]) -> bool:
    """Whether `step(bf16)` is worth taking in bfloat16, by trying both: small models lose by it, even on CPUs that have
    instructions for it, since the conversions cost more than is saved. CPU time is compared: what else runs on the
    machine would decide by the clock on the wall.
    """
    taken_s: dict[bool, list[float]] = {True: [], False: []}
    for bf16 in (True, False) * PROBED_STEPS:  # in turns, so that a thread that reads ahead slows down neither alone
        taken_s[bf16] += timeit.repeat(partial(step, bf16), timer=time.process_time, number=1, repeat=1)
    return min(taken_s[True]) * WORTH_IT < min(taken_s[False])
