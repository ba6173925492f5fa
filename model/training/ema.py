"""The average of a model's weights over the steps, which is what is validated and exported."""

import copy
from dataclasses import dataclass
from operator import attrgetter

import torch
from transformers import CLIPModel


@dataclass
class AveragedWeights:
    """Exponential moving average; young averages forget faster. Always a plain model: low-rank updates are merged."""

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
        for name, mean in self.model.named_parameters():
            mean.lerp_(attrgetter(name)(model), 1 - decay)
