"""Images with sentences as training sees them: records, without those whose image can't be opened, in batches.

Records come from `model.data.readers`. Where none names a split, a fixed share is kept back for validation.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from model.contract import ProblemError
from model.data.shards import file_bytes
from model.image import open_image
from model.training.batch import Batch, shuffled_rows

Split = Literal["train", "validation", "test"]

VALIDATION_IMAGES = 1000
NAMED_FILES = 5


class DataError(Exception):
    """A dataset that can't be trained on. The text names the file and line, and what is needed."""


IMAGE_FIELDS = ("image", "file_name", "filepath", "source-ref")
CAPTION_FIELDS = ("captions", "text", "caption", "title")
LABEL_FIELD = "label"
OPTIONAL_FIELDS = ("split", "held_out")
"""How datasets name the image and what is said of it, the preferred name first; a class in place of a caption; and what
may be absent.
"""


class Record(BaseModel):
    """An image, what is said of it in training, and what is only asked of it in validation."""

    model_config = ConfigDict(frozen=True)

    image: str = Field(min_length=1, validation_alias=AliasChoices(*IMAGE_FIELDS))
    captions: tuple[str, ...] = Field(min_length=1, validation_alias=AliasChoices(*CAPTION_FIELDS))
    held_out: tuple[str, ...] = ()
    split: Split | None = None

    @field_validator("captions", "held_out", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        sentences = [value] if isinstance(value, str) else value
        if not isinstance(sentences, list | tuple) or not all(
            isinstance(said, str) and said.strip() for said in sentences
        ):
            raise ValueError("give a sentence or a list of sentences, none of them empty")
        return tuple(dict.fromkeys(" ".join(said.split()) for said in sentences))


@dataclass(frozen=True)
class Unreadable:
    """An image that was left out, and why."""

    image: str
    reason: str


def quarantine(
    directory: Path, records: Sequence[Record], max_share: float, threads: int
) -> tuple[list[Record], list[Unreadable]]:
    """Open every image once and part the records into those to train on and those to leave out.

    Raises DataError when more than `max_share` of the images can't be read.
    """
    with ThreadPoolExecutor(threads) as pool:
        reasons = list(pool.map(lambda record: _unreadable(directory, record), records))
    bad = [Unreadable(record.image, why) for record, why in zip(records, reasons, strict=True) if why is not None]
    check_share(bad, len(records), max_share)
    return [record for record, why in zip(records, reasons, strict=True) if why is None], bad


def check_share(bad: Sequence[Unreadable], images: int, max_share: float) -> None:
    """Raises DataError, naming the first files, when more than `max_share` of the images can't be read."""
    if len(bad) > max_share * images:
        named = "; ".join(f"{one.image}: {one.reason}" for one in bad[:NAMED_FILES])
        raise DataError(
            f"{len(bad)} of {images} images can't be read, allowed is a share of {max_share:g}: repair or remove "
            f"them, or raise max_unreadable_share. The first: {named}"
        )


def _unreadable(directory: Path, record: Record) -> str | None:
    try:
        open_image(file_bytes(directory, record.image))
    except (OSError, ProblemError) as error:
        return str(error)
    return None


class ManifestExamples:
    """The readable images of a dataset. A sentence is true of every image that has it among its captions."""

    def __init__(
        self, directory: Path, records: Sequence[Record], captions_per_image: int, validation_share: float, seed: int
    ) -> None:
        self.directory = directory
        self.records = tuple(records)
        self.captions_per_image = captions_per_image
        self.seed = seed
        splits = splits_of(records, validation_share, seed)
        self.train_rows = [row for row, split in enumerate(splits) if split == "train"]
        self.validation_rows = [row for row, split in enumerate(splits) if split == "validation"][:VALIDATION_IMAGES]
        if len(self.train_rows) < 2 or not self.validation_rows:
            raise DataError(
                f"{len(self.train_rows)} images to train on and {len(self.validation_rows)} for validation: at least "
                "2 and 1 are needed; add images, or mark some with a split"
            )

    def __len__(self) -> int:
        return len(self.train_rows)

    def batch(self, step: int, size: int) -> Batch:
        """The `size` images of a step with some of their captions."""
        places = shuffled_rows(self.seed, len(self), step * size, size)
        rows = tuple(self.train_rows[place] for place in places)
        rng = np.random.default_rng((self.seed, step))
        texts = [text for row in rows for text in self._some_captions(row, rng)]
        return _describe(rows, [self.records[row].captions for row in rows], texts)

    def validation(self) -> Batch:
        """The kept-back images with all of their held-out sentences, or of their captions where they have none."""
        rows = tuple(self.validation_rows)
        said = [self.records[row].held_out or self.records[row].captions for row in rows]
        return _describe(rows, said, [text for sentences in said for text in sentences])

    def image(self, row: int) -> Image.Image:
        """The RGB image of a row, as the server would see it."""
        return open_image(file_bytes(self.directory, self.records[row].image))

    def sentences(self) -> list[str]:
        """The captions that are trained on."""
        return [text for row in self.train_rows for text in self.records[row].captions]

    def digest(self) -> str:
        """sha256 of the records; the images stand in it by name."""
        lines = "\n".join(record.model_dump_json() for record in self.records)
        return hashlib.sha256(lines.encode()).hexdigest()

    def _some_captions(self, row: int, rng: np.random.Generator) -> list[str]:
        captions = self.records[row].captions
        count = min(self.captions_per_image, len(captions))
        return [captions[place] for place in rng.choice(len(captions), count, replace=False)]


def _describe(rows: tuple[int, ...], true_of_rows: Sequence[Sequence[str]], said: Sequence[str]) -> Batch:
    texts = tuple(dict.fromkeys(said))
    return Batch(rows, texts, membership(true_of_rows, texts))


def membership(captions: Sequence[Sequence[str]], texts: Sequence[str]) -> Tensor:
    """Whether text t is among the captions of image i: bool [images, texts]"""
    column = {text: number for number, text in enumerate(texts)}
    positives = torch.zeros(len(captions), len(texts), dtype=torch.bool)
    for row, sentences in enumerate(captions):
        positives[row, [column[said] for said in sentences if said in column]] = True
    return positives


def splits_of(records: Sequence[Record], validation_share: float, seed: int) -> list[Split]:
    """As the records say, or by a hash of the path, so that an image keeps its side when others are added."""
    if any(record.split for record in records):
        return [record.split or "train" for record in records]
    hashes = (hashlib.sha256(f"{seed} {record.image}".encode()).digest() for record in records)
    draws = (int.from_bytes(digest[:8]) / 2**64 for digest in hashes)
    return ["validation" if draw < validation_share else "train" for draw in draws]
