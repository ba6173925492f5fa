"""Contrastive loss over unique texts, in which an image may have several true texts and a text several true images.

With exactly one text per image and no repeats it is CLIP's symmetric InfoNCE (Radford et al. 2021). Targets are spread
evenly over the positives (UniCL, Yang et al. 2022), and the targets' own entropy is subtracted, so that a perfect
model scores zero however often captions repeat.
"""

import torch
from torch import Tensor
from torch.nn.functional import log_softmax


def contrastive_loss(logits: Tensor, positives: Tensor) -> Tensor:
    """Mean of the image-to-text and text-to-image divergence from the even spread over positives, in nats.

    `logits` float [images, texts] (scale x cosine), `positives` bool [images, texts]. Rows and columns without any
    positive do not count. Computed in float32.
    """
    if logits.shape != positives.shape:
        raise ValueError(f"logits are {list(logits.shape)} but positives {list(positives.shape)}: they must agree")
    logits = logits.float()
    return (_divergence(logits, positives) + _divergence(logits.T, positives.T)) / 2


def _divergence(logits: Tensor, positives: Tensor) -> Tensor:
    """Mean KL divergence between each row's targets and its softmax. shape = []"""
    how_many = positives.sum(dim=1)
    answered = how_many > 0
    counts = how_many[answered].float()
    log_probabilities = log_softmax(logits[answered], dim=1).masked_fill(~positives[answered], 0.0)
    cross_entropy = -log_probabilities.sum(dim=1) / counts
    return (cross_entropy - torch.log(counts)).mean()
