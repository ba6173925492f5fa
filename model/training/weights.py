"""A run's weights: which of them are trained (freezing, LoRA), and their average over the steps (EMA)."""

import copy
from operator import attrgetter

import torch
from torch import Tensor
from torch.nn import Linear, Module, Parameter
from torch.nn.utils.parametrize import register_parametrization

from model.clip.architecture import DualEncoder, image_tower, logit_parameters, text_tower, visual_projection
from model.training.recipe import Recipe


def freeze(recipe: Recipe, model: DualEncoder) -> None:
    """Freeze the towers that the recipe locks; what it adapts by LoRA is frozen and gets low-rank updates. Where the
    visual projection alone learns, all else is frozen.
    """
    projection = visual_projection(model)
    if recipe.strategy == "projection" and projection is not None:
        model.requires_grad_(False)
        projection.requires_grad_(True)
    for tower, locked in ((image_tower(model), recipe.lock_image), (text_tower(model), recipe.lock_text)):
        if locked:  # locked-image tuning (Zhai et al. 2022)
            tower.module.requires_grad_(False)
            for part in tower.head:  # what comes after the last block is free with it
                part.requires_grad_(recipe.unlocked_blocks > 0)
        if locked and recipe.unlocked_blocks > 0:
            tower.layers[-recipe.unlocked_blocks :].requires_grad_(True)
    if recipe.lora_rank:
        _adapt(model, recipe.lora_rank, recipe.seed)


class LoRA(Module):
    """A matrix W [out, in] as W + B A with A [rank, in] and B [out, rank]; B = 0 at first (Hu et al. 2022)."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        self.A = Parameter(torch.randn(rank, weight.shape[1]) / weight.shape[1] ** 0.5)
        self.B = Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The adapted matrix. shape = [out, in]"""
        return weight + self.B @ self.A


def _adapt(model: DualEncoder, rank: int, seed: int) -> None:
    """Give every matrix of the layers that is not frozen an update of its own; freeze all but those and
    the logits' scale and bias.
    """
    matrices = [
        module
        for tower in (image_tower(model), text_tower(model))
        for module in tower.layers.modules()
        if isinstance(module, Linear) and module.weight.requires_grad
    ]
    model.requires_grad_(False)
    for parameter in logit_parameters(model):
        parameter.requires_grad_(True)
    torch.manual_seed(seed)
    for linear in matrices:
        register_parametrization(linear, "weight", LoRA(linear.weight, rank).to(model.device))


def frozen_copy(model: DualEncoder) -> DualEncoder:
    """The weights as they are now, in evaluation mode."""
    return copy.deepcopy(model).eval().requires_grad_(False)


@torch.no_grad()
def update_average(average: Module, model: Module, step: int, decay: float) -> None:
    """Take a step's weights into their exponential moving average (EMA), which is what is validated and exported; young
    averages forget faster. The average is a plain model: low-rank updates are merged.
    """
    decay = min(decay, (1 + step) / (10 + step))
    for name, mean in average.named_parameters():
        mean.lerp_(attrgetter(name)(model), 1 - decay)
