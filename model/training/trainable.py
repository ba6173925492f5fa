"""What of a model a run may change: all of it, parts of a tower, or low-rank updates of its matrices."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import Linear, Module, Parameter
from torch.nn.utils.parametrize import register_parametrization
from transformers import CLIPModel, PreTrainedModel

from contract.hyperparameters import Hyperparameters


def restrict(chosen: Hyperparameters, model: CLIPModel) -> None:
    """Lock what the hyperparameters lock; what they adapt by low-rank updates is locked and gets such an update."""
    for tower, projection, locked in (
        (model.vision_model, model.visual_projection, chosen.lock_image),
        (model.text_model, model.text_projection, chosen.lock_text),
    ):
        if locked:
            _lock(tower, projection, chosen.unlocked_blocks)
    if chosen.lora_rank is not None:
        _adapt(model, chosen.lora_rank, chosen.seed)


def _lock(tower: PreTrainedModel, projection: Module, unlocked_blocks: int) -> None:
    """Locked-image tuning (Zhai et al. 2022). What comes after the last block is free with it."""
    tower.requires_grad_(False)
    projection.requires_grad_(unlocked_blocks > 0)
    if unlocked_blocks > 0:
        tower.encoder.layers[-unlocked_blocks:].requires_grad_(True)
        last_norm = tower.post_layernorm if hasattr(tower, "post_layernorm") else tower.final_layer_norm
        last_norm.requires_grad_(True)


class LowRank(Module):
    """A matrix W [out, in] as W + B A with A [rank, in] and B [out, rank]; B = 0 at first (LoRA, Hu et al. 2022)."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        self.A = Parameter(torch.randn(rank, weight.shape[1]) / weight.shape[1] ** 0.5)
        self.B = Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The adapted matrix. shape = [out, in]"""
        return weight + self.B @ self.A


def _adapt(model: CLIPModel, rank: int, seed: int) -> None:
    """Give every matrix of the layers that is not locked an update of its own, and lock all but those and the scale."""
    matrices = [linear for linear in _layers_matrices(model) if linear.weight.requires_grad]
    model.requires_grad_(False)
    model.logit_scale.requires_grad_(True)
    device = model.device
    torch.manual_seed(seed)
    for linear in matrices:
        register_parametrization(linear, "weight", LowRank(linear.weight, rank).to(device))


def _layers_matrices(model: CLIPModel) -> Iterator[Linear]:
    for tower in (model.vision_model, model.text_model):
        yield from (module for module in tower.encoder.layers.modules() if isinstance(module, Linear))
