"""A folder of images and a JSON Lines manifest that says in words what they show.

One image per line: {"image": "images/1.jpg", "captions": ["a red circle", "something round"], "split": "train"}.
`text` or `caption` with one sentence is accepted for `captions`. Without any `split` a fixed share is kept back for
validation. Paths are relative to the manifest.
"""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator
from torch import Tensor

from model.batch import Batch, shuffled_rows
from model.contract import ProblemError
from model.image import open_image

Split = Literal["train", "validation", "test"]

VALIDATION_IMAGES = 1000
NAMED_FILES = 5


class DataError(Exception):
    """A dataset that can't be trained on. The text names the file and line, and what is needed."""


class Record(BaseModel):
    """One line of a manifest."""

    model_config = ConfigDict(frozen=True)

    image: str = Field(min_length=1)
    captions: tuple[str, ...] = Field(min_length=1, validation_alias=AliasChoices("captions", "text", "caption"))
    split: Split | None = None

    @field_validator("captions", mode="before")
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


def read_manifest(directory: Path) -> list[Record]:
    """All records of the folder's *.jsonl files in their order. Raises DataError for a line that is no record."""
    manifests = sorted(directory.glob("*.jsonl"))
    if not manifests:
        raise DataError(
            f"no *.jsonl manifest in {directory}: put one there with lines such as "
            '{"image": "images/1.jpg", "captions": ["a red circle"]}'
        )
    records = [
        _record(line, path, number)
        for path in manifests
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1)
        if line.strip()
    ]
    if not records:
        raise DataError(f"the manifest {manifests[0]} is empty: one line per image is needed")
    return records


def _record(line: str, path: Path, number: int) -> Record:
    try:
        record = Record.model_validate(json.loads(line))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(map(str, fault["loc"])) or "the line"
        raise DataError(f"{path.name} line {number}: {field}: {fault['msg']}") from None
    except ValueError as error:
        raise DataError(f"{path.name} line {number} is not JSON: {error}") from None
    except RecursionError:
        raise DataError(f"{path.name} line {number} is nested too deeply: an object of strings is needed") from None
    if Path(record.image).is_absolute() or ".." in Path(record.image).parts:
        raise DataError(f"{path.name} line {number}: image {record.image!r} must be a path below the manifest's folder")
    return record


def quarantine(
    directory: Path, records: Sequence[Record], max_share: float, threads: int
) -> tuple[list[Record], list[Unreadable]]:
    """Open every image once and part the records into those to train on and those to leave out.

    Raises DataError when more than `max_share` of the images can't be read.
    """
    with ThreadPoolExecutor(threads) as pool:
        reasons = list(pool.map(lambda record: _unreadable(directory, record), records))
    bad = [Unreadable(record.image, why) for record, why in zip(records, reasons, strict=True) if why is not None]
    if len(bad) > max_share * len(records):
        named = "; ".join(f"{one.image}: {one.reason}" for one in bad[:NAMED_FILES])
        raise DataError(
            f"{len(bad)} of {len(records)} images can't be read, allowed is a share of {max_share:g}: repair or remove "
            f"them, or raise max_unreadable_share. The first: {named}"
        )
    return [record for record, why in zip(records, reasons, strict=True) if why is None], bad


def _unreadable(directory: Path, record: Record) -> str | None:
    try:
        open_image((directory / record.image).read_bytes())
    except (OSError, ProblemError) as error:
        return str(error)
    return None


class ManifestExamples:
    """The readable images of a manifest. A sentence is true of every image that has it among its captions."""

    def __init__(
        self, directory: Path, records: Sequence[Record], captions_per_image: int, validation_share: float, seed: int
    ) -> None:
        self.directory = directory
        self.records = tuple(records)
        self.captions_per_image = captions_per_image
        self.seed = seed
        splits = _splits(records, validation_share, seed)
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
        return self._describe(rows, texts)

    def validation(self) -> Batch:
        """The kept-back images with all of their captions."""
        rows = tuple(self.validation_rows)
        return self._describe(rows, [text for row in rows for text in self.records[row].captions])

    def image(self, row: int) -> Image.Image:
        """The RGB image of a row, as the server would see it."""
        return open_image((self.directory / self.records[row].image).read_bytes())

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

    def _describe(self, rows: tuple[int, ...], said: list[str]) -> Batch:
        texts = tuple(dict.fromkeys(said))
        return Batch(rows, texts, membership([self.records[row].captions for row in rows], texts))


def membership(captions: Sequence[Sequence[str]], texts: Sequence[str]) -> Tensor:
    """Whether text t is among the captions of image i: bool [images, texts]"""
    column = {text: number for number, text in enumerate(texts)}
    positives = torch.zeros(len(captions), len(texts), dtype=torch.bool)
    for row, sentences in enumerate(captions):
        positives[row, [column[said] for said in sentences if said in column]] = True
    return positives


def _splits(records: Sequence[Record], validation_share: float, seed: int) -> list[Split]:
    """As the manifest says, or by a hash of the path, so that an image keeps its side when others are added."""
    if any(record.split for record in records):
        return [record.split or "train" for record in records]
    hashes = (hashlib.sha256(f"{seed} {record.image}".encode()).digest() for record in records)
    draws = (int.from_bytes(digest[:8]) / 2**64 for digest in hashes)
    return ["validation" if draw < validation_share else "train" for draw in draws]
