"""Which parameter is stepped by what, and at which learning rate."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Muon, Optimizer

from model.clip.architecture import DualEncoder, tower_with
from model.training.recipe import Recipe

ADAM_SHARE_OF_MUON_RATE = 0.5


def build_optimizers(recipe: Recipe, model: DualEncoder, of_the_loss: Iterable[Parameter] = ()) -> list[Optimizer]:
    """AdamW for everything, or Muon (Jordan et al. 2024) for the layers' matrices and AdamW for the rest, as far as it
    is not frozen.

    Embeddings, biases, norms, the logits' scale and bias and the loss's own parameters take no weight decay. Each
    group's `initial_lr` is its peak.
    """
    rate = recipe.learning_rate
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    matrices = {name: weight for name, weight in trained.items() if weight.ndim == 2 and "encoder.layers" in name}
    others = {name: weight for name, weight in trained.items() if name not in matrices}
    others |= {f"loss.{number}": weight for number, weight in enumerate(of_the_loss)}
    decayed = _groups(matrices, rate, recipe.weight_decay, recipe, model)
    if recipe.optimizer == "muon":
        muon = Muon(decayed, lr=rate, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw")
        return [muon, _adamw(_groups(others, rate * ADAM_SHARE_OF_MUON_RATE, 0.0, recipe, model))]
    return [_adamw([*_groups(others, rate, 0.0, recipe, model), *decayed])]


def _adamw(groups: list[dict[str, Any]]) -> AdamW:
    return AdamW(groups, betas=(0.9, 0.98), eps=1e-6, fused=True)


def _groups(
    named: Mapping[str, Tensor], rate: float, weight_decay: float, recipe: Recipe, model: DualEncoder
) -> list[dict[str, Any]]:
    """A group for each learning rate that occurs: one, unless the rate decays layer by layer."""
    by_rate: dict[float, list[Tensor]] = defaultdict(list)
    for name, weight in named.items():
        by_rate[rate * recipe.layer_decay ** layers_above(name, model)].append(weight)
    return [
        {"params": weights, "lr": own, "initial_lr": own, "weight_decay": weight_decay}
        for own, weights in by_rate.items()
    ]


def layers_above(name: str, model: DualEncoder) -> int:
    """How far below a tower's head a parameter is, for layer-wise learning rate decay (Clark et al. 2020): 0 for what
    comes after the last layer, 1 for the last layer, and one more than there are layers for the embeddings.
    """
    layers = len(tower_with(model, name).layers)
    if layer := re.search(r"encoder\.layers\.(\d+)\.", name):
        return layers - int(layer[1])
    return layers + 1 if "embeddings." in name or "pre_layrnorm." in name else 0


def rate_share(step: int, recipe: Recipe) -> float:
    """Share of the peak rate at a step: linear warm-up of a quarter of the run at most, then constant, then linearly
    down to zero at the end.
    """
    warm = (step + 1) / (min(recipe.warmup_steps, recipe.steps // 4) + 1)
    cooldown = recipe.cooldown_share * recipe.steps
    cool = (recipe.steps - step) / cooldown if cooldown else 1.0
    return min(1.0, warm, cool)


def set_rates(optimizers: list[Optimizer], step: int, recipe: Recipe) -> None:
    """Give every group its learning rate at a step."""
    share = rate_share(step, recipe)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * share
