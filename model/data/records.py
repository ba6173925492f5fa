"""Images with sentences as training sees them: records, and batches of them.

Records come from `model.data.readers`. Where none is for validation, a fixed share is kept back.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from contract.annotations import Split
from model.data.batch import Batch, one_of_each, text_key, weighted_rows
from model.data.crops import drawn_crop
from model.data.images import ImageFiles, RgbImage

T = TypeVar("T")

VALIDATION_IMAGES = 1000


class DataError(Exception):
    """A dataset that can't be trained on. The text names the file and line, and what is needed."""


LABEL_FIELD = "label"
"""The task of labels that name none."""


class Record(BaseModel):
    """An image, what is said of it in training, and what is only asked of it in validation.

    `labels` is its class in each of several tasks. `weight`: an image of weight 2 is shown twice as often in training
    as one of weight 1, and of weight 0 never; validation counts all alike. `id` is the dataset's own name of it.
    """

    model_config = ConfigDict(frozen=True)

    image: str = Field(min_length=1)
    captions: tuple[str, ...] = Field(min_length=1)
    held_out: tuple[str, ...] = ()
    split: Split | None = None
    labels: dict[str, Annotated[str, Field(min_length=1)]] = {}
    weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    id: str | None = None


class ManifestExamples:
    """The readable images of a dataset. A sentence is true of every image that has it among its captions."""

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
        self.captions_per_image = captions_per_image
        self.crop_area_min = crop_area_min
        self.seed = seed
        self.train_rows, self.validation_rows = training_rows(records, validation_share, seed)
        self.weights = np.array([self.records[row].weight for row in self.train_rows])

    def __len__(self) -> int:
        return len(self.train_rows)

    def batch(self, step: int, size: int) -> Batch:
        """The `size` images of a step, each in a crop and with some of its captions."""
        places = weighted_rows(self.seed, self.weights, step * size, size)
        rows = tuple(self.train_rows[place] for place in places)
        rng = np.random.default_rng((self.seed, step))
        captions = [self.records[row].captions for row in rows]
        texts: list[str] = []
        for said in captions:
            drawn = rng.choice(len(said), min(self.captions_per_image, len(said)), replace=False)
            texts += [said[place] for place in drawn]
        batch = _describe(rows, captions, texts)
        if self.crop_area_min == 1:
            return batch
        return replace(batch, crops=tuple(drawn_crop(self.seed, step, row, self.crop_area_min) for row in rows))

    def validation(self) -> Batch:
        """The kept-back images with all of their held-out sentences, or of their captions where they have none."""
        rows = tuple(self.validation_rows)
        said = [self.records[row].held_out or self.records[row].captions for row in rows]
        return _describe(rows, said, [text for sentences in said for text in sentences])

    def image(self, row: int) -> RgbImage:
        """The RGB image of a row, or what it was resized to."""
        return self.images.image(self.records[row].image)

    def sentences(self) -> list[str]:
        """The captions that are trained on."""
        return [text for row in self.train_rows for text in self.records[row].captions]

    def digest(self) -> str:
        """sha256 of the records; the images stand in it by name."""
        lines = "\n".join(record.model_dump_json() for record in self.records)
        return hashlib.sha256(lines.encode()).hexdigest()


def _describe(rows: tuple[int, ...], true_of_rows: Sequence[Sequence[str]], said: Sequence[str]) -> Batch:
    texts = one_of_each(said)
    return Batch(rows, texts, membership(true_of_rows, texts))


def membership(captions: Sequence[Sequence[str]], texts: Sequence[str]) -> Tensor:
    """Whether text t is among the captions of image i, as the model reads them: bool [images, texts]

    Of two texts that are the same to the model both are.
    """
    columns: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        columns.setdefault(text_key(text), []).append(number)
    positives = torch.zeros(len(captions), len(texts), dtype=torch.bool)
    for row, sentences in enumerate(captions):
        positives[row, [column for said in sentences for column in columns.get(text_key(said), ())]] = True
    return positives


def training_rows(records: Sequence[Record], validation_share: float, seed: int) -> tuple[list[int], list[int]]:
    """Which records are trained on, and which the training is watched on. Raises DataError for too few of either."""
    splits = splits_of(records, validation_share, seed)
    train = [row for row, split in enumerate(splits) if split == "train" and records[row].weight > 0]
    kept = [row for row, split in enumerate(splits) if split == "validation"]
    validation = some_of(kept, VALIDATION_IMAGES, seed)
    if len(train) < 2 or not validation:
        raise DataError(
            f"{len(train)} images to train on and {len(validation)} for validation: at least 2 and 1 are needed; add "
            "images, or mark some with a split"
        )
    return train, validation


def some_of(items: Sequence[T], most: int, seed: int) -> list[T]:
    """At most so many, in their order, of all classes alike: in a folder per class they are sorted by class."""
    places = np.random.default_rng(seed).permutation(len(items))[:most]
    return [items[place] for place in sorted(places.tolist())]


def splits_of(records: Sequence[Record], validation_share: float, seed: int) -> list[Split]:
    """As the records say. Where none is for validation, a share of those to train on is, by a hash of the path, so that
    an image keeps its side when others are added: train and test folders alone are a usual layout.
    """
    given: list[Split] = [record.split or "train" for record in records]
    if "validation" in given:
        return given
    hashes = [hashlib.sha256(f"{seed} {record.image}".encode()).digest()[:8] for record in records]
    return [
        "validation" if split == "train" and int.from_bytes(digest) / 2**64 < validation_share else split
        for split, digest in zip(given, hashes, strict=True)
    ]
