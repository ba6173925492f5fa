"""CLIP's activation in four passes over its values instead of eight.

QuickGELU, x · sigmoid(1.702 x) (`model.py` of openai/CLIP), is silu(1.702 x) / 1.702, and its derivative is silu's at
1.702 x. torch has silu and its derivative as one kernel each, where transformers' module computes every product of the
formula by itself, and keeps twice as much for the way back. The values are the same but for rounding.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import silu
from transformers.activations import QuickGELUActivation

from model.clip.architecture import DualEncoder

STEEPNESS = 1.702


class _QuickGelu(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        steep = x * STEEPNESS
        ctx.save_for_backward(steep)
        return silu(steep).mul_(1 / STEEPNESS)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (steep,) = ctx.saved_tensors
        found: Tensor = torch.ops.aten.silu_backward(gradient, steep)
        return found


class QuickGelu(nn.Module):
    """What QuickGELUActivation computes, of a tensor of any shape."""

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = _QuickGelu.apply(x)  # type: ignore[no-untyped-call]
        return found


def with_fast_activations(model: DualEncoder) -> DualEncoder:
    """The model itself, with its QuickGELUs replaced. A model with another activation stays as it is."""
    for layer in list(model.modules()):
        for name, part in layer.named_children():
            if isinstance(part, QuickGELUActivation):
                setattr(layer, name, QuickGelu())
    return model
