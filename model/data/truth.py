"""Which texts are known to be true or false of which images, where images have labels, sentences or both.

What an image's own annotations say is true of it, and what others say is false: contrastive learning lives by that. But
a sentence about one cat is often true of other cats, and whether an image without a label is one, nobody has said. Such
pairs are unknown: they are neither pulled together nor pushed apart, and no answer is wrong by them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.batch import text_key
from model.data.class_wording import said_in_evaluation, said_in_training, spoken
from model.data.records import Record

NONE = -1
"""In place of a label's number."""


class Truth:
    """What is known of the images of a dataset."""

    def __init__(self, records: Sequence[Record]) -> None:
        tasks = {name: number for number, name in enumerate(dict.fromkeys(t for r in records for t in r.labels))}
        numbers: dict[str, int] = {}
        self._labels = np.full((len(records), len(tasks)), NONE)
        self._tasks_of: dict[str, set[int]] = defaultdict(set)
        for row, record in enumerate(records):
            for name, label in record.labels.items():
                key = text_key(spoken(label))
                if key not in numbers or tasks[name] not in self._tasks_of[key]:
                    for text in (*said_in_training(label), *said_in_evaluation(label)):
                        self._tasks_of[text_key(text)].add(tasks[name])
                self._labels[row, tasks[name]] = numbers.setdefault(key, len(numbers))
        self._speakers: dict[str, set[tuple[int, ...]]] = defaultdict(set)
        for record, labels in zip(records, self._labels, strict=True):
            for text in (*record.captions, *record.held_out):
                self._speakers[text_key(text)].add(tuple(labels.tolist()))

    def known(self, rows: Sequence[int], texts: Sequence[str], positives: Tensor) -> Tensor | None:
        """For which pairs anybody can say whether they fit, bool like `positives` [rows, texts]; None: for all.

        Unknown are sentences of siblings, which are images with a label in common and none in which they differ; and
        the wordings of a label for images without one in its task.
        """
        if not self._labels.size:
            return None
        labels = self._labels[list(rows)]
        unknown = np.zeros(positives.shape, dtype=bool)
        for column, text in enumerate(texts):
            key = text_key(text)
            tasks, speakers = sorted(self._tasks_of.get(key, ())), self._speakers.get(key)
            answered = (labels[:, tasks] != NONE).any(axis=1)
            if speakers is None:
                unknown[:, column] = ~answered & bool(tasks)
            else:
                unknown[:, column] = _siblings(labels, speakers) & ~answered
        unknown &= ~positives.numpy()
        return torch.from_numpy(~unknown) if unknown.any() else None


def _siblings(labels: NDArray[np.int64], others: Iterable[tuple[int, ...]]) -> NDArray[np.bool_]:
    """Which images [rows, tasks] are siblings of any of the others."""
    found = np.zeros(len(labels), dtype=bool)
    for other in map(np.array, others):
        both = (labels != NONE) & (other != NONE)
        same = labels == other
        found |= (both & same).any(axis=1) & ~(both & ~same).any(axis=1)
    return found
