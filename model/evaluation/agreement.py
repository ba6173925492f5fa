"""How far a model's answers to images of which nothing is said are those of its base.

Each image is asked several questions of a wide, plain vocabulary: what it shows, what colour, how many, where. A
question's words exclude one another, as labels do that are asked together; of all words together several are true of an
image, and which of them comes first says nothing. What is counted is how often the best word is the one that the base
says: were the base always right, one minus this would be what the model has lost in accuracy, so limits of forgetting
hold for it as for any old task. It is the stricter measure, since an answer in which the base itself wavers counts as
much as any other. The labels of the new task are not asked: of the user's own images, which may show the same kind of
thing, other answers to these are what the training is for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from model.clip.encode import Clip
from model.data.class_wording import said_in_evaluation
from model.evaluation.answers import embed_labels
from model.evaluation.bootstrap import CONFIDENCE, losses, resampled_means
from model.evaluation.vocabulary import KINDS, WORDS

PROMPTS = tuple(said_in_evaluation(word) for word in WORDS)
QUESTIONS = tuple([WORDS.index(word) for word in kind] for kind in KINDS)
"""Of each the places of its words."""


@dataclass(frozen=True)
class ReferenceAnswers:
    """`cosines` float [images, words]; `targets` int [images, questions]: what the base says; `rows` int [images]:
    which images these are.
    """

    cosines: Tensor
    targets: Tensor
    rows: Tensor

    @property
    def right(self) -> Tensor:
        """The share of an image's questions to which the base says the same. float [images]"""
        return (best(self.cosines) == self.targets).float().mean(dim=1)

    def probabilities(self, scale: float) -> list[Tensor]:
        """Of each question's words; `scale`: what cosines are multiplied by before the softmax. [images, words] each"""
        return [(self.cosines[:, words] * scale).softmax(dim=1) for words in QUESTIONS]


@dataclass(frozen=True)
class Agreement:
    """Of two models on the same images, in the mean over the questions. `at_least` and `variation_at_most` are the ends
    of one-sided 95 % intervals; `variation` is the mean total variation between the probabilities of a question's
    words, which moves before answers do.
    """

    agreement: float
    at_least: float
    variation: float
    variation_at_most: float


def best(cosines: Tensor) -> Tensor:
    """The place of each question's best word among its words. [images, words] to int [images, questions]"""
    return torch.stack([cosines[:, words].argmax(dim=1) for words in QUESTIONS], dim=1)


def answers_as(clip: Clip, embeds: Tensor, base: ReferenceAnswers | None, first_row: int = 0) -> ReferenceAnswers:
    """What a model says to images that it has embedded, [images, projection], where right is what `base` says; None:
    it is the base, and the images get rows from `first_row` on.
    """
    cosines = embeds @ embed_labels(clip, PROMPTS).T
    if base is None:
        return ReferenceAnswers(cosines, best(cosines), torch.arange(first_row, first_row + len(cosines)))
    return ReferenceAnswers(cosines, base.targets, base.rows)


def agreement(before: ReferenceAnswers, after: ReferenceAnswers, scales: Iterable[float]) -> Agreement:
    """Of a model with its base, by what `answers_as` gives for both, and what the cosines of each are multiplied by."""
    lost, resampled = losses({"": before}, {"": after})
    old, new = (said.probabilities(scale) for said, scale in zip((before, after), scales, strict=True))
    moved = torch.stack([(was - now).abs().sum(dim=1) / 2 for was, now in zip(old, new, strict=True)], dim=1)
    moved = moved.mean(dim=1, keepdim=True)
    return Agreement(
        1 - float(lost[0]),
        1 - min(1.0, float(resampled[:, 0].quantile(CONFIDENCE))),
        float(moved.mean()),
        float(resampled_means(moved)[:, 0].quantile(CONFIDENCE)),
    )
