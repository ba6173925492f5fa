"""What models say to the questions that a run is watched by, image by image."""

from collections.abc import Iterator

import torch
from torch import Tensor

from model.data.batch import Batch, Question


def right(cosines: Tensor, batch: Batch) -> Tensor:
    """By how many of its deciding questions an image is answered rightly, from 0 to 1. `cosines` float [images, texts],
    of a batch's images and texts. shape = [images]

    An answer is right if the best text of those that are known to be true or false is a true one.
    """
    return _means(len(batch.rows), [(asked, _best_is_true(cosines, batch, asked)) for asked in deciding(batch)])


def retrieval(cosines: Tensor, batch: Batch) -> float | None:
    """The share of images whose best sentence is their own, where that does not decide; None where it does."""
    for asked in batch.questions:
        if not asked.decides:
            return float(_best_is_true(cosines, batch, asked).float().mean())
    return None


def deciding(batch: Batch) -> Iterator[Question]:
    """The questions by which models are compared; a batch without any asks for all of its texts."""
    if not batch.questions:
        yield Question("all", tuple(range(len(batch.rows))), tuple(range(len(batch.texts))))
    yield from (asked for asked in batch.questions if asked.decides)


def part(values: Tensor, asked: Question) -> Tensor:
    """Of [images, texts] those that a question is about."""
    return values[list(asked.images)][:, list(asked.texts)]


def _best_is_true(cosines: Tensor, batch: Batch, asked: Question) -> Tensor:
    """bool [images of the question]"""
    best = part(batch.without_unknown(cosines), asked).argmax(dim=1, keepdim=True)
    return part(batch.positives, asked).gather(1, best)[:, 0]


def _means(images: int, answers: list[tuple[Question, Tensor]]) -> Tensor:
    """Each image's mean over its questions. shape = [images]"""
    total, count = torch.zeros(images), torch.zeros(images)
    for asked, values in answers:
        total[list(asked.images)] += values.float()
        count[list(asked.images)] += 1
    return total / count.clamp(min=1)
