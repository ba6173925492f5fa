"""Which parameter is stepped by what, and at which rate."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Muon, Optimizer
from transformers import CLIPModel

from contract.hyperparameters import Hyperparameters
from model.clip.checkpoint import CheckpointMetadata
from model.training.replay import replay_share

SCRATCH_RATE = 2e-3
SMALL_BASE_RATE = 5e-4
UNREPLAYED_BASE_RATE = 2e-4
"""Of a small base to which nothing old is shown again: on digits, distillation at 5e-4 forgot .58 of what it forgets
without, and at 1e-4 it gained only two thirds of the new.
"""
LARGE_BASE_RATE = 1e-5
LARGE_PARAMETERS = 50_000_000
ADAM_SHARE_OF_MUON_RATE = 0.5
LORA_RATES = 10
"""Low-rank updates start at zero and want about ten times the rate of whole matrices."""


def peak_rate(chosen: Hyperparameters, model: CLIPModel, base: CheckpointMetadata | None) -> float:
    """The learning rate that was asked for, or what fits the start, the size of the model and what it has to lose."""
    if chosen.learning_rate is not None:
        return chosen.learning_rate
    if chosen.init == "scratch":
        return SCRATCH_RATE
    large = sum(weight.numel() for weight in model.parameters()) >= LARGE_PARAMETERS
    small_rate = SMALL_BASE_RATE if replay_share(chosen, base) > 0 else UNREPLAYED_BASE_RATE
    whole = LARGE_BASE_RATE if large else small_rate
    return whole if chosen.lora_rank is None else whole * LORA_RATES


def build_optimizers(
    chosen: Hyperparameters,
    model: CLIPModel,
    base: CheckpointMetadata | None,
    of_the_loss: Iterable[Parameter] = (),
) -> list[Optimizer]:
    """AdamW for everything, or Muon (Jordan et al. 2024) for the layers' matrices and AdamW for the rest, as far as it
    is not locked.

    Embeddings, biases, norms, the logit scale and the loss's own parameters take no weight decay. Each group's
    `initial_lr` is its peak.
    """
    rate = peak_rate(chosen, model, base)
    free = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    matrices = {name: weight for name, weight in free.items() if _is_matrix(name, weight)}
    others = {name: weight for name, weight in free.items() if name not in matrices}
    others |= {f"loss.{number}": weight for number, weight in enumerate(of_the_loss)}
    if chosen.muon:
        hidden = [{"params": list(matrices.values()), "lr": rate, "initial_lr": rate}]
        muon = Muon(hidden, lr=rate, weight_decay=chosen.weight_decay, adjust_lr_fn="match_rms_adamw")
        return [muon, _adamw(_groups(others, rate * ADAM_SHARE_OF_MUON_RATE, 0.0, chosen, model))]
    decayed = _groups(matrices, rate, chosen.weight_decay, chosen, model)
    return [_adamw([*_groups(others, rate, 0.0, chosen, model), *decayed])]


def _adamw(groups: list[dict[str, Any]]) -> AdamW:
    return AdamW(groups, betas=(0.9, 0.98), eps=1e-6)


def _groups(
    named: Mapping[str, Tensor], rate: float, weight_decay: float, chosen: Hyperparameters, model: CLIPModel
) -> list[dict[str, Any]]:
    """A group for each learning rate that occurs: one, unless the rate decays from layer to layer."""
    by_rate: dict[float, list[Tensor]] = defaultdict(list)
    for name, weight in named.items():
        by_rate[rate * chosen.layer_decay ** layers_above(name, model)].append(weight)
    return [
        {"params": weights, "lr": own, "initial_lr": own, "weight_decay": weight_decay}
        for own, weights in by_rate.items()
    ]


def layers_above(name: str, model: CLIPModel) -> int:
    """How far below a tower's head a parameter is: 0 for what comes after the last layer, 1 for the last layer, and
    one more than there are layers for the embeddings (Clark et al. 2020).
    """
    tower = model.vision_model if name.startswith("vision_model.") else model.text_model
    if layer := re.search(r"encoder\.layers\.(\d+)\.", name):
        return len(tower.encoder.layers) - int(layer[1])
    return len(tower.encoder.layers) + 1 if "embeddings." in name or "pre_layrnorm." in name else 0


def _is_matrix(name: str, weight: Tensor) -> bool:
    return weight.ndim == 2 and "encoder.layers" in name


def rate_share(step: int, steps: int, chosen: Hyperparameters) -> float:
    """Share of the peak rate at a step: linear warm-up of a quarter of the run at most, then constant, then linearly
    down to zero at the end.
    """
    warm = (step + 1) / (min(chosen.warmup_steps, steps // 4) + 1)
    cooldown = chosen.cooldown_share * steps
    cool = (steps - step) / cooldown if cooldown else 1.0
    return min(1.0, warm, cool)


def set_rates(optimizers: list[Optimizer], share: float) -> None:
    """Apply a share of the peak rate to every group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * share
