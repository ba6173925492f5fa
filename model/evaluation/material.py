"""A task's images as a model sees them, and how it answers in one wording or another."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.clip.encode import Clip
from model.evaluation.answers import Answers
from model.evaluation.embed import embed_labels

Prompts = Sequence[Sequence[str]]
"""The sentences of each label."""


@dataclass(frozen=True)
class Material:
    """`embeds` float [images, projection], `targets` int [images]: the right labels, `rows` int [images]: which
    pictures these are.
    """

    embeds: Tensor
    targets: Tensor
    rows: Tensor

    def answers(self, clip: Clip, prompts: Prompts) -> Answers:
        """Each label is the mean of its sentences, as it is served."""
        return Answers(self.embeds @ embed_labels(clip, prompts).T, self.targets, self.rows)


@dataclass(frozen=True)
class WordingGap:
    """Mean accuracy over single wordings: over those that training uses, and over those that it never does."""

    trained: float
    held_out: float

    def as_metrics(self) -> dict[str, float]:
        """With the gap between them."""
        figures = {"trained": self.trained, "held_out": self.held_out, "gap": self.trained - self.held_out}
        return {name: round(value, 4) for name, value in figures.items()}


def wording_gap(clip: Clip, material: Material, trained: Prompts, held_out: Prompts) -> WordingGap:
    """Ask in one wording at a time: a mean of many sentences would hide what a single one, as users give it, costs."""
    return WordingGap(_mean_of_single(clip, material, trained), _mean_of_single(clip, material, held_out))


def _mean_of_single(clip: Clip, material: Material, prompts: Prompts) -> float:
    wordings = max(map(len, prompts))
    asked = [[[said[number % len(said)]] for said in prompts] for number in range(wordings)]
    return float(torch.stack([material.answers(clip, each).right.float().mean() for each in asked]).mean())
