"""The images of a dataset in batches, and what is asked of those that are kept back."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from torch import Tensor

from model.data.batch import Batch, Question, one_of_each, text_key, weighted_rows
from model.data.class_wording import said_in_evaluation, spoken
from model.data.crops import drawn_crop
from model.data.images import ImageFiles, RgbImage
from model.data.records import Record, membership, training_rows
from model.data.truth import Truth

STREAM = 3
"""Keeps the draws apart from others of the same seed."""
RETRIEVAL = "retrieval"
"""The question which sentence is an image's own."""


class ManifestExamples:
    """The readable images of a dataset. A sentence is true of every image that has it among its own."""

    def __init__(
        self,
        images: ImageFiles,
        records: Sequence[Record],
        captions_per_image: int,
        validation_share: float,
        seed: int,
        crop_area_min: float = 1.0,
    ) -> None:
        self.images = images
        self.records = tuple(records)
        self.truth = Truth(self.records)
        self.captions_per_image = captions_per_image
        self.crop_area_min = crop_area_min
        self.seed = seed
        self.train_rows, self.validation_rows = training_rows(records, validation_share, seed)
        self.weights = np.array([self.records[row].weight for row in self.train_rows])

    def __len__(self) -> int:
        return len(self.train_rows)

    def batch(self, step: int, size: int) -> Batch:
        """The `size` images of a step, each in a crop and with some of its captions, its labels' wordings, or both."""
        places = weighted_rows(self.seed, self.weights, step * size, size)
        rows = tuple(self.train_rows[place] for place in places)
        rng = np.random.default_rng((self.seed, step))
        texts: list[str] = []
        for row in rows:
            texts += self._drawn(step, row, rng)
        batch = self._described(rows, [self.records[row].said for row in rows], texts)
        if self.crop_area_min == 1:
            return batch
        return replace(batch, crops=tuple(drawn_crop(self.seed, step, row, self.crop_area_min) for row in rows))

    def _drawn(self, step: int, row: int, rng: np.random.Generator) -> list[str]:
        """Of an image with labels and sentences half as many of either, at least one: all wordings of a label together
        would drown its few sentences.
        """
        record, many = self.records[row], self.captions_per_image
        if not (record.captions and record.wordings):
            return _some(record.said, many, rng)
        rng = np.random.default_rng((self.seed, step, row, STREAM))
        labels = max(1, many // 2)
        return [*_some(record.wordings, labels, rng), *_some(record.captions, max(1, many - labels), rng)]

    def validation(self) -> Batch:
        """The kept-back images. Each is asked which label of all the data's it has, in wordings that training does not
        use; those without a label, which sentence is theirs: held-out ones, or their captions. Images with labels are
        asked for their sentences beside that.
        """
        return self._validation

    @cached_property
    def _validation(self) -> Batch:
        rows = tuple(self.validation_rows)
        records = [self.records[row] for row in rows]
        true: list[list[str]] = [[] for _ in rows]
        asked: list[tuple[str, list[int], tuple[str, ...]]] = []
        for task, labels in self._labels_by_task().items():
            of_task = [place for place, record in enumerate(records) if task in record.labels]
            if len(labels) < 2 or not of_task:
                continue
            wordings = one_of_each(text for label in labels for text in said_in_evaluation(label))
            asked.append((task, of_task, wordings))
            for place in of_task:
                true[place] += said_in_evaluation(records[place].labels[task])
        labelled = {place for _, of_task, _ in asked for place in of_task}
        sentences = [r.held_out or r.captions or (() if n in labelled else r.wordings) for n, r in enumerate(records)]
        texts = one_of_each(text for said in (*(texts for *_, texts in asked), *sentences) for text in said)
        column = {text_key(text): number for number, text in enumerate(texts)}

        def question(name: str, places: Sequence[int], said: Sequence[str], *, decides: bool) -> Question:
            return Question(name, tuple(places), tuple(sorted({column[text_key(text)] for text in said})), decides)

        questions = [question(task, of_task, said, decides=True) for task, of_task, said in asked]
        all_sentences = [text for said in sentences for text in said]
        told = [place for place, said in enumerate(sentences) if said]
        unlabelled = [place for place in told if place not in labelled]
        if unlabelled:
            questions.append(question(RETRIEVAL, unlabelled, all_sentences, decides=True))
        if len(told) > len(unlabelled):
            questions.append(question(RETRIEVAL, told, all_sentences, decides=False))
        said_of_rows = [[*labels, *said] for labels, said in zip(true, sentences, strict=True)]
        return replace(self._described(rows, said_of_rows, texts), questions=tuple(questions))

    def _labels_by_task(self) -> dict[str, tuple[str, ...]]:
        """Every label of all the records, also of those that no image kept back has."""
        names = dict.fromkeys(name for record in self.records for name in record.labels)
        return {
            name: one_of_each(spoken(record.labels[name]) for record in self.records if name in record.labels)
            for name in names
        }

    def _described(self, rows: tuple[int, ...], true_of_rows: Sequence[Sequence[str]], said: Sequence[str]) -> Batch:
        texts = one_of_each(said)
        positives: Tensor = membership(true_of_rows, texts)
        return Batch(rows, texts, positives, self.truth.known(rows, texts, positives))

    def image(self, row: int) -> RgbImage:
        """The RGB image of a row, or what it was resized to."""
        return self.images.image(self.records[row].image)

    def sentences(self) -> list[str]:
        """What is said of the images that are trained on."""
        return [text for row in self.train_rows for text in self.records[row].said]

    def digest(self) -> str:
        """sha256 of the records; the images stand in it by name."""
        lines = "\n".join(record.model_dump_json() for record in self.records)
        return hashlib.sha256(lines.encode()).hexdigest()


def _some(texts: Sequence[str], most: int, rng: np.random.Generator) -> list[str]:
    return [texts[place] for place in rng.choice(len(texts), min(most, len(texts)), replace=False)]
