"""Losses over unique texts, in which an image may have several true texts and a text several true images.

InfoNCE: with exactly one text per image and no repeats it is CLIP's (Radford et al. 2021). Targets are spread evenly
over the positives (UniCL, Yang et al. 2022), and the targets' own entropy is subtracted, so that a perfect model scores
zero however often captions repeat. Sigmoid: every pair is a yes-or-no question of its own (SigLIP, Zhai et al. 2023).
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.nn.functional import log_softmax, logsigmoid


class Objective(Module):
    """The loss of a run and what it learns beside the model: sigmoid's bias, where the model has none of its own. No
    artifact needs that, because a classifier's softmax does not see it and scores of single labels have a calibration
    of their own.
    """

    def __init__(self, loss: Literal["infonce", "sigmoid"], *, learns_bias: bool = True) -> None:
        super().__init__()
        self.loss = loss
        self.bias = Parameter(torch.zeros(())) if loss == "sigmoid" and learns_bias else None

    @torch.no_grad()
    def begin(self, logits: Tensor) -> None:
        """Set the bias by the first batch so that the probabilities of an image's texts add up to about one, as in the
        softmax that a base learnt with. SigLIP's own -10 fits batches of 32,768.
        """
        if self.bias is not None:
            self.bias.copy_(-logits.float().logsumexp(dim=1).mean())

    def forward(self, logits: Tensor, positives: Tensor, bias: Tensor | None = None) -> Tensor:
        """`logits` float [images, texts] (scale x cosine), `positives` bool [images, texts], `bias` the model's own,
        which is to be given where none is learnt here. shape = []
        """
        if self.loss == "infonce":
            return contrastive_loss(logits, positives)
        own = bias if self.bias is None else self.bias
        if own is None:
            raise ValueError("the sigmoid loss needs a bias: give the model's, or learn one here")
        return sigmoid_loss(logits.float() + own, positives)


def contrastive_loss(logits: Tensor, positives: Tensor) -> Tensor:
    """Mean of the image-to-text and text-to-image divergence from the even spread over positives, in nats.

    `logits` float [images, texts] (scale x cosine), `positives` bool [images, texts]. Rows and columns without any
    positive do not count. Computed in float32.
    """
    _check_shapes(logits, positives)
    logits = logits.float()
    return (_divergence(logits, positives) + _divergence(logits.T, positives.T)) / 2


def sigmoid_loss(logits: Tensor, positives: Tensor) -> Tensor:
    """Cross-entropy of every image-text pair, summed over texts and averaged over images, in nats.

    `logits` float [images, texts] (scale x cosine + bias), `positives` bool [images, texts]. Computed in float32.
    """
    _check_shapes(logits, positives)
    signs = torch.where(positives, 1.0, -1.0)
    return -logsigmoid(signs * logits.float()).sum(dim=1).mean()


def _check_shapes(logits: Tensor, positives: Tensor) -> None:
    if logits.shape != positives.shape:
        raise ValueError(f"logits are {list(logits.shape)} but positives {list(positives.shape)}: they must agree")


def _divergence(logits: Tensor, positives: Tensor) -> Tensor:
    """Mean KL divergence between each row's targets and its softmax. shape = []"""
    how_many = positives.sum(dim=1)
    answered = how_many > 0
    counts = how_many[answered].float()
    log_probabilities = log_softmax(logits[answered], dim=1).masked_fill(~positives[answered], 0.0)
    cross_entropy = -log_probabilities.sum(dim=1) / counts
    return (cross_entropy - torch.log(counts)).mean()
