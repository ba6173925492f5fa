"""Which parameter is stepped by what, at which rate, and the average that is exported."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import AdamW, Muon, Optimizer
from transformers import CLIPModel

from model.settings import Hyperparameters

SCRATCH_RATE = 2e-3
SMALL_BASE_RATE = 5e-4
LARGE_BASE_RATE = 1e-5
LARGE_PARAMETERS = 50_000_000
ADAM_SHARE_OF_MUON_RATE = 0.5


def peak_rate(chosen: Hyperparameters, model: CLIPModel) -> float:
    """The learning rate that was asked for, or what fits the start and the size of the model."""
    if chosen.learning_rate is not None:
        return chosen.learning_rate
    if chosen.init == "scratch":
        return SCRATCH_RATE
    large = sum(weight.numel() for weight in model.parameters()) >= LARGE_PARAMETERS
    return LARGE_BASE_RATE if large else SMALL_BASE_RATE


def build_optimizers(chosen: Hyperparameters, model: CLIPModel) -> list[Optimizer]:
    """AdamW for everything, or Muon (Jordan et al. 2024) for the layers' matrices and AdamW for the rest.

    Embeddings, biases, norms and the logit scale take no weight decay. Each group's `initial_lr` is its peak.
    """
    rate = peak_rate(chosen, model)
    muon = (chosen.optimizer or ("muon" if chosen.init == "scratch" else "adamw")) == "muon"
    named = dict(model.named_parameters())
    matrices = [weight for name, weight in named.items() if _is_matrix(name, weight)]
    others = [weight for name, weight in named.items() if not _is_matrix(name, weight)]
    adam_rate = rate * ADAM_SHARE_OF_MUON_RATE if muon else rate
    groups = [{"params": others, "lr": adam_rate, "initial_lr": adam_rate, "weight_decay": 0.0}]
    if muon:
        hidden = [{"params": matrices, "lr": rate, "initial_lr": rate}]
        decay = chosen.weight_decay
        return [
            Muon(hidden, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
            AdamW(groups, lr=adam_rate, betas=(0.9, 0.98), eps=1e-6),
        ]
    groups.append({"params": matrices, "lr": rate, "initial_lr": rate, "weight_decay": chosen.weight_decay})
    return [AdamW(groups, lr=rate, betas=(0.9, 0.98), eps=1e-6)]


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


@dataclass
class AveragedWeights:
    """Exponential moving average of a model's weights; young averages forget faster."""

    model: CLIPModel
    decay: float

    @classmethod
    def of(cls, model: CLIPModel, decay: float) -> "AveragedWeights":
        """Start from the model's present weights."""
        return cls(copy.deepcopy(model).eval().requires_grad_(False), decay)

    @torch.no_grad()
    def update(self, model: CLIPModel, step: int) -> None:
        """Take in the weights after a step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mean, weight in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)
