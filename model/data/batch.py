"""What one optimiser step sees, whatever it was made from."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from contract.texts import same_to_the_model
from model.data.crops import Crop

text_key = lru_cache(maxsize=1 << 18)(same_to_the_model)
"""What a text is known by: two with one key are the same to the model, so none is true where the other is false."""


def one_of_each(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts that the model can tell apart, each in its first spelling."""
    found: dict[str, str] = {}
    for text in texts:
        found.setdefault(text_key(text), text)
    return tuple(found.values())


@dataclass(frozen=True)
class Question:
    """What is asked of some images: which of these texts fits. Images and texts are named by their places in a batch.

    `decides`: the answers count where models are compared; others are only told.
    """

    name: str
    images: tuple[int, ...]
    texts: tuple[int, ...]
    decides: bool = True


@dataclass(frozen=True)
class Batch:
    """Texts that the model can tell apart, and which of them are true of which image: `positives` bool [rows, texts]

    `known` bool, same shape: for which pairs anybody can say so; None: for all. The others are neither true nor false.
    `crops`: what is shown of each image; None: all of every one. `questions`: in validation, what is asked.
    `reference`: rows of images that are shown beside these and of which nothing is said, so that no loss over texts
    counts them; their crops stand behind the others.
    """

    rows: tuple[int, ...]
    texts: tuple[str, ...]
    positives: Tensor
    known: Tensor | None = None
    crops: tuple[Crop | None, ...] | None = None
    questions: tuple[Question, ...] = ()
    reference: tuple[int, ...] = ()

    def without_unknown(self, logits: Tensor) -> Tensor:
        """Logits [rows, texts] in which an unknown pair is no candidate, so that no loss pulls or pushes it."""
        return logits if self.known is None else logits.masked_fill(~self.known.to(logits.device), float("-inf"))


class Examples(Protocol):
    """Images with sentences. A batch is a pure function of (seed, step), so nothing has to be replayed on resume."""

    def __len__(self) -> int:
        """How many images there are to train on."""

    def batch(self, step: int, size: int) -> Batch:
        """The `size` images of a step with their texts."""

    def validation(self) -> Batch:
        """Images and texts that are never trained on."""

    def image(self, row: int) -> Image.Image | NDArray[np.uint8]:
        """The RGB image of a row, or what `model.clip.preprocess.resized` made of it."""

    def sentences(self) -> list[str]:
        """What a vocabulary can be learnt from."""

    def digest(self) -> str:
        """sha256 of what the data consists of; a run is resumed only on equal data."""


def shuffled_rows(seed: int, count: int, start: int, size: int) -> tuple[int, ...]:
    """Rows `start` to `start + size` of an endless sequence that holds every row once per epoch."""
    return tuple(
        int(_permutation(seed, count, position // count)[position % count]) for position in range(start, start + size)
    )


def weighted_rows(seed: int, weights: NDArray[np.float64], start: int, size: int) -> tuple[int, ...]:
    """The same of rows that come in proportion to their weights, in epochs as long as there are rows: each comes as
    often as its share of an epoch says, rounded up or down by chance. Equal weights are `shuffled_rows`.
    """
    places = shuffled_rows(seed, len(weights), start, size)
    if np.all(weights == weights[0]):
        return places
    epochs = [position // len(weights) for position in range(start, start + size)]
    ends = np.cumsum(weights) * (len(weights) / np.sum(weights))
    drawn = {}
    for epoch in set(epochs):  # systematic sampling (Madow & Madow 1944): equal steps over the rows laid end to end
        first = np.random.default_rng((seed, epoch, 1)).random()
        drawn[epoch] = np.searchsorted(ends, first + np.arange(len(weights)), side="right").clip(max=len(weights) - 1)
    return tuple(int(drawn[epoch][place]) for epoch, place in zip(epochs, places, strict=True))


@lru_cache(maxsize=4)
def _permutation(seed: int, count: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch)).permutation(count)
