"""Classification tasks about labelled images in a folder: given in a file, or found in the data itself."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from contract.documents import json_of
from contract.problems import ProblemError
from contract.questions import Labels, Templates
from model.clip.encode import Clip
from model.clip.image import open_image
from model.data.batch import one_of_each, text_key
from model.data.class_wording import HELD_OUT_WORDINGS, said_in_evaluation, said_in_training, spoken
from model.data.records import LABEL_FIELD, DataError, Record, membership
from model.data.shards import file_bytes
from model.evaluation.answers import EvaluationSet, Prompts, embed_pictures

FIRST = 5


class TaskFile(BaseModel):
    """One task of a tasks file. `data` is a folder in any layout of `contract.layouts`, relative to the file;
    an image's label is its own under the task's name, or the class it has where it has but one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    labels: Labels = Field(min_length=2)
    templates: Templates = Field(default=list(HELD_OUT_WORDINGS), min_length=1)
    data: Path


@dataclass(frozen=True)
class LabelledTask:
    """A task's name, its labels, and the sentences that each is asked in."""

    name: str
    labels: tuple[str, ...]
    prompts: Prompts

    @property
    def trained(self) -> Prompts:
        """The sentences that training on labels says them in."""
        return [said_in_training(label) for label in self.labels]

    def label_of(self, record: Record) -> str | None:
        """What a record is in this task, as words."""
        label = record.labels.get(self.name, record.labels.get(LABEL_FIELD))
        return None if label is None else spoken(label)

    def number_of(self, record: Record) -> int | None:
        """Which of its labels a record has, as the model reads them: `circle` is `Circle`."""
        label = self.label_of(record)
        return None if label is None else self._numbers.get(text_key(label))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {text_key(spoken(label)): number for number, label in enumerate(self.labels)}

    def is_about(self, records: Iterable[Record]) -> bool:
        """Whether any of the records has one of its labels."""
        return any(self.number_of(record) is not None for record in records)


class EmbeddedImages:
    """Images of a folder that can be opened, embedded once however many tasks ask about them."""

    def __init__(self, clip: Clip, directory: Path, records: Sequence[Record]) -> None:
        self.records: list[Record] = []
        self.embeds = embed_pictures(clip, self._opened(directory, records))
        self.unreadable = len(records) - len(self.records)

    def _opened(self, directory: Path, records: Sequence[Record]) -> Iterator[Image.Image]:
        for record in records:
            try:
                image = open_image(file_bytes(directory, record.image))
            except (OSError, ProblemError):
                continue
            self.records.append(record)
            yield image
        if not self.records:
            raise DataError(f"none of the {len(records)} images of {directory} that are asked about can be opened")

    def evaluation_set(self, task: LabelledTask) -> EvaluationSet:
        """The images that have one of the task's labels. Raises DataError if there are none."""
        numbers = [task.number_of(record) for record in self.records]
        rows = [row for row, number in enumerate(numbers) if number is not None]
        if not rows:
            said = {label for record in self.records if (label := task.label_of(record))}
            found = ", ".join(sorted(said)[:FIRST]) or "none"
            raise DataError(
                f"no image has a label of the task {task.name!r}: its labels begin with "
                f"{', '.join(task.labels[:FIRST])}; those of the images are {found}"
            )
        targets = torch.tensor([number for number in numbers if number is not None])
        return EvaluationSet(self.embeds[rows], targets, torch.tensor(rows))


def read_tasks(path: Path) -> list[tuple[LabelledTask, Path]]:
    """The tasks of a JSON file, one or a list, with their folders. Raises DataError."""
    try:
        given = json_of(path.read_text(encoding="utf-8-sig"))
        tasks = [TaskFile.model_validate(each) for each in (given if isinstance(given, list) else [given])]
    except (OSError, ValueError) as error:
        fault = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
        why = f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" if fault else str(error)
        needed = '{"name": "animal", "labels": ["cat", "dog"], "data": "folder"}, or a list of such'
        raise DataError(f"{path} is no file of tasks: {why}; needed is {needed}") from None
    found = []
    for task in tasks:
        names = tuple(label.label for label in task.labels)
        if len(one_of_each(map(spoken, names))) < len(names):
            raise DataError(f"{path}: two labels of the task {task.name!r} are the same to the model: give one of them")
        said = [each.annotations or [form.replace("{}", each.label) for form in task.templates] for each in task.labels]
        found.append((LabelledTask(task.name, names, said), path.parent / task.data))
    return found


def own_tasks(records: Sequence[Record]) -> list[LabelledTask]:
    """A task for each kind of label that the records carry, asked in the wordings kept out of training. Labels that are
    the same to the model are one.
    """
    names = dict.fromkeys(name for record in records for name in record.labels)
    found = []
    for name in names:
        labels = sorted(one_of_each(spoken(record.labels[name]) for record in records if name in record.labels))
        found.append(LabelledTask(name, tuple(labels), [said_in_evaluation(label) for label in labels]))
    return [task for task in found if len(task.labels) > 1]


def records_to_ask(records: Sequence[Record]) -> list[Record]:
    """The test images, or else those for validation, or else all."""
    for split in ("test", "validation"):
        if asked := [record for record in records if record.split == split]:
            return asked
    return list(records)


def captions_truth(records: Sequence[Record]) -> tuple[list[str], Tensor]:
    """The different captions, and which image has which: bool [images, texts]"""
    said = [record.captions or record.wordings for record in records]
    texts = list(one_of_each(text for sentences in said for text in sentences))
    return texts, membership(said, texts)
