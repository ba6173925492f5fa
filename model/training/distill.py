"""Distillation: where nothing of what the base learnt from can be shown again, its answers are kept instead.

On the new images and over a bank of texts, the tuned model is held to the probabilities that the base gives, from
images to texts and back: Learning without Forgetting (Li & Hoiem 2016), for CLIP as in ZSCL (Zheng et al. 2023).
"""

import copy
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import kl_div
from transformers import CLIPModel

from contract.hyperparameters import Hyperparameters
from model.clip.checkpoint import CheckpointMetadata
from model.training.replay import replay_share
from model.training.start import Start
from model.training.text_bank import some_sentences

BANK_TEXTS = 64
"""Of a step, beside the batch's own captions."""
DEFAULT_WEIGHT = 1.0
"""At 4 the small base learnt no digit in 60 steps; at 1 it learnt them and kept more than without."""


def distillation_weight(chosen: Hyperparameters, base: CheckpointMetadata | None) -> float:
    """What was asked for, or the default where a base is fine-tuned and nothing old is replayed."""
    if chosen.data == "world" or base is None:
        return 0.0
    if chosen.distillation_weight is not None:
        return chosen.distillation_weight
    return 0.0 if replay_share(chosen, base) > 0 else DEFAULT_WEIGHT


@dataclass(frozen=True)
class Teacher:
    """The base as it was. `weight`: of its answers in the loss."""

    model: CLIPModel
    weight: float
    seed: int

    @classmethod
    def of(cls, chosen: Hyperparameters, start: Start) -> "Teacher | None":
        """The start's model, copied before it changes; None where the run does not distil."""
        weight = distillation_weight(chosen, start.base)
        if weight == 0:
            return None
        return cls(copy.deepcopy(start.model).eval().requires_grad_(False), weight, chosen.seed)

    def texts(self, step: int, known: tuple[str, ...]) -> tuple[str, ...]:
        """The batch's texts, then the bank's of this step that are not among them."""
        return tuple(dict.fromkeys((*known, *some_sentences(self.seed, step, BANK_TEXTS))))

    def loss(self, cosines: Tensor, own_cosines: Tensor) -> Tensor:
        """How far the tuned model's answers are from the base's, in nats, times the weight. Both [images, texts]."""
        scale = self.model.logit_scale.exp()
        tuned, base = scale * cosines.float(), scale * own_cosines.float()
        return self.weight * (_divergence(tuned, base) + _divergence(tuned.T, base.T)) / 2


def _divergence(tuned: Tensor, base: Tensor) -> Tensor:
    """Mean KL divergence of each row's probabilities from the base's. shape = []"""
    return kl_div(tuned.log_softmax(dim=1), base.log_softmax(dim=1), reduction="batchmean", log_target=True)
