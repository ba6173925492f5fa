"""How far a model's answers to images of which nothing is said are those of its base.

Each image is asked which word of a wide, plain vocabulary fits it best. What is counted is how often that is the word
that the base says: were the base always right, one minus this would be what the model has lost in accuracy, so limits
of forgetting hold for it as for any old task. It is the stricter measure where the base itself wavers between two
words. The labels of the new task are not asked: of the user's own images, which may show the same kind of thing, other
answers to these are what the training is for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from model.clip.encode import Clip
from model.data.class_wording import said_in_evaluation
from model.evaluation.answers import Answers, embed_labels
from model.evaluation.bootstrap import CONFIDENCE, losses, resampled_means
from model.evaluation.vocabulary import WORDS

PROMPTS = tuple(said_in_evaluation(word) for word in WORDS)


@dataclass(frozen=True)
class Agreement:
    """Of two models on the same images. `at_least` and `variation_at_most` are the ends of one-sided 95 % intervals;
    `variation` is the mean total variation between the probabilities of all words, which moves before answers do.
    """

    agreement: float
    at_least: float
    variation: float
    variation_at_most: float


def answers_as(clip: Clip, embeds: Tensor, base: Answers | None, first_row: int = 0) -> Answers:
    """What a model says to images that it has embedded, [images, projection], where right is what `base` says; None:
    it is the base, and the images get rows from `first_row` on.
    """
    cosines = embeds @ embed_labels(clip, PROMPTS).T
    if base is None:
        return Answers(cosines, cosines.argmax(dim=1), torch.arange(first_row, first_row + len(cosines)))
    return Answers(cosines, base.targets, base.rows)


def agreement(before: Answers, after: Answers, scales: Iterable[float]) -> Agreement:
    """Of a model with its base, by what `answers_as` gives for both; `scales`: what the cosines of each are multiplied
    by before the softmax.
    """
    lost, resampled = losses({"": before}, {"": after})
    old, new = ((said.cosines * scale).softmax(dim=1) for said, scale in zip((before, after), scales, strict=True))
    moved = (old - new).abs().sum(dim=1, keepdim=True) / 2
    return Agreement(
        1 - float(lost[0]),
        1 - min(1.0, float(resampled[:, 0].quantile(CONFIDENCE))),
        float(moved.mean()),
        float(resampled_means(moved)[:, 0].quantile(CONFIDENCE)),
    )
