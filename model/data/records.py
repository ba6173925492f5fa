"""Images with what is said of them: records, and which of them are trained on.

Records come from `model.data.readers`. Where none is for validation, a fixed share is kept back.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Self, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from contract.annotations import Split
from contract.splits import kept_back
from model.data.batch import text_key

T = TypeVar("T")

VALIDATION_IMAGES = 1000


class DataError(Exception):
    """A dataset that can't be trained on. The text names the file and line, and what is needed."""


LABEL_FIELD = "label"
"""The task of labels that name none."""


class Record(BaseModel):
    """An image and what is said of it: `captions` are sentences of its own, `wordings` what its labels are said as in
    training; `held_out` sentences are asked in validation in place of its captions.

    `labels` is its class in each of several tasks. `weight`: an image of weight 2 is shown twice as often in training
    as one of weight 1, and of weight 0 never; validation counts all alike. `id` is the dataset's own name of it.
    """

    model_config = ConfigDict(frozen=True)

    image: str = Field(min_length=1)
    captions: tuple[str, ...] = ()
    wordings: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    split: Split | None = None
    labels: dict[str, Annotated[str, Field(min_length=1)]] = {}
    weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    id: str | None = None

    @property
    def said(self) -> tuple[str, ...]:
        """All that is true of it in training."""
        return (*self.wordings, *self.captions)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.said:
            raise ValueError(f"nothing is said of {self.image}")
        return self


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
    """As the records say. Where none is for validation, a share of those to train on is, of every class: train and test
    folders alone are a usual layout. What is given to training stays there where other images are given to nothing.
    """
    given: list[Split] = [record.split or "train" for record in records]
    if "validation" in given:
        return given
    unsaid = [record for record in records if record.split is None]
    drawable = unsaid if len(unsaid) > 1 else [record for record in records if record.split != "test"]
    open_to = {record.image: record for record in drawable}
    classes: dict[tuple[str, str], list[str]] = {}
    for image, record in open_to.items():
        for task, label in record.labels.items():
            classes.setdefault((task, text_key(label)), []).append(image)
    draws = {image: _draw(f"{seed} {image}") for image in open_to}
    kept = kept_back(draws, classes.values(), validation_share)
    return ["validation" if record.image in kept else split for record, split in zip(records, given, strict=True)]


def _draw(name: str) -> float:
    """From 0 to 1, by a hash."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
