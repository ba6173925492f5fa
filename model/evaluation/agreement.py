"""How far a model's answers to images of which nothing is said are those of its base.

Each image is asked several questions of a wide, plain vocabulary, what it shows, what colour, how many, where, and the
user's saved tasks. A question's words exclude one another, as labels do that are asked together; of all words together
several are true of an image, and which of them comes first says nothing. What is counted is how often the best word is
the one that the base says, of the questions of which it is sure: were it always right then, one minus this would be
what the model has lost in accuracy, so limits of forgetting hold for it as for any old task. Where the base wavers, it
knows nothing that could be forgotten, as at tasks at which it is hardly better than chance. The labels of the new task
are not asked: of the user's own images, which may show the same kind of thing, other answers to these are what the
training is for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.clip.encode import Clip
from model.data.class_wording import said_in_evaluation
from model.evaluation.answers import Prompts, embed_labels
from model.evaluation.bootstrap import CONFIDENCE, losses, resampled_means
from model.evaluation.vocabulary import KINDS, WORDS

PROMPTS = tuple(said_in_evaluation(word) for word in WORDS)
QUESTIONS = tuple([WORDS.index(word) for word in kind] for kind in KINDS)
"""Of each the places of its words."""


Questions = tuple[list[int], ...]
SURE = 0.5
"""A best word that the base gives more than this is more probable than all others together."""
SURE_ABOVE_CHANCE = 1.5
"""So many times what guessing gives it has, too: of two words one always has more than half."""


@dataclass(frozen=True)
class ReferenceAnswers:
    """`cosines` float [images, words]; `targets` int and `sure` bool [images, questions]: what the base says, and
    whether it is sure of it; `rows` int [images]: which images these are; `questions`: the places of each one's words.
    """

    cosines: Tensor
    targets: Tensor
    sure: Tensor
    rows: Tensor
    questions: Questions = QUESTIONS

    @property
    def right(self) -> Tensor:
        """The share of an image's questions to which the base says the same, of those of which it is sure; NaN where it
        is sure of none. float [images]
        """
        same = best(self.cosines, self.questions) == self.targets
        return torch.where(self.sure, same.float(), torch.nan).nanmean(dim=1)


@dataclass(frozen=True)
class Agreement:
    """Of two models on the same images, in the mean over an image's questions. `at_least` and `variation_at_most` are
    ends of one-sided 95 % intervals; `variation` is the mean total variation between the probabilities of a question's
    words, sure or not, which moves before answers do.
    """

    agreement: float
    at_least: float
    variation: float
    variation_at_most: float


def word_probabilities(cosines: Tensor, scale: float, questions: Questions = QUESTIONS) -> list[Tensor]:
    """Of each question's words; `scale`: what cosines are multiplied by before the softmax. [images, words] each"""
    return [(cosines[:, words] * scale).softmax(dim=1) for words in questions]


def best(cosines: Tensor, questions: Questions = QUESTIONS) -> Tensor:
    """The place of each question's best word among its words. [images, words] to int [images, questions]"""
    return torch.stack([cosines[:, words].argmax(dim=1) for words in questions], dim=1)


def answers_as(
    clip: Clip, embeds: Tensor, base: ReferenceAnswers | None, first_row: int = 0, saved: Sequence[Prompts] = ()
) -> ReferenceAnswers:
    """What a model says to images that it has embedded, [images, projection], where right is what `base` says; None:
    it is the base, and the images get rows from `first_row` on. `saved`: questions beside the vocabulary's, by the
    sentences of each of their labels.
    """
    prompts: list[Sequence[str]] = [*PROMPTS]
    questions = [*QUESTIONS]
    for labels in saved:
        questions.append([*range(len(prompts), len(prompts) + len(labels))])
        prompts += labels
    cosines = embeds @ embed_labels(clip, prompts).T
    if base is not None:
        return replace(base, cosines=cosines)
    return base_answers(cosines, clip.logit_scale, first_row, tuple(questions))


def base_answers(
    cosines: Tensor, scale: float, first_row: int = 0, questions: Questions = QUESTIONS
) -> ReferenceAnswers:
    """What the base says, by its cosines [images, words] and what it multiplies them by."""
    probabilities = word_probabilities(cosines, scale, questions)
    least = [max(SURE, SURE_ABOVE_CHANCE / len(words)) for words in questions]
    sure = torch.stack([found.max(dim=1).values > p for found, p in zip(probabilities, least, strict=True)], dim=1)
    rows = torch.arange(first_row, first_row + len(cosines))
    return ReferenceAnswers(cosines, best(cosines, questions), sure, rows, questions)


def agreement(before: ReferenceAnswers, after: ReferenceAnswers, scales: Iterable[float]) -> Agreement:
    """Of a model with its base, by what `answers_as` gives for both, and what the cosines of each are multiplied by."""
    lost, resampled = losses({"": before}, {"": after})
    old, new = (
        word_probabilities(said.cosines, scale, said.questions)
        for said, scale in zip((before, after), scales, strict=True)
    )
    moved = torch.stack([(was - now).abs().sum(dim=1) / 2 for was, now in zip(old, new, strict=True)], dim=1)
    moved = moved.mean(dim=1, keepdim=True)
    return Agreement(
        1 - float(lost[0]),
        1 - min(1.0, float(resampled[:, 0].quantile(CONFIDENCE))),
        float(moved.mean()),
        float(resampled_means(moved)[:, 0].quantile(CONFIDENCE)),
    )
