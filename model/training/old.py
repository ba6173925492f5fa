"""What was labelled before: images of other datasets, whose tasks are old tasks beside the rendered world's.

Which of them the limits of forgetting hold for. A set counts where the limit can be decided: if a model that loses one
answer of all that the base gets right were sure to be within `max_task_forgetting`, by the upper end of a one-sided
95 % interval. In a smaller set a single image would keep every training from publishing anything; so it is told, and
only a loss that is sure to exceed the limit, by the lower end, counts. The sets are in the mean over the old tasks
where such a model would be sure to be within `max_forgetting`, too; else that mean is over the others. What the base is
hardly better than chance at, it can't forget.
"""

from collections.abc import Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from contract.layouts.places import shown
from contract.metrics import REFERENCE_TASK
from contract.problems import ProblemError
from contract.trainings import MAX_OLD_IMAGES, MAX_OLD_SETS
from model.clip.encode import Clip
from model.clip.preprocess import ImageProcessor, resized
from model.data.images import ImageFiles, open_images
from model.data.readers import read_records
from model.data.records import Record, some_of
from model.data.shards import file_bytes
from model.evaluation.answers import BATCH, Answers, EvaluationSet, learnt
from model.evaluation.bootstrap import CONFIDENCE, Judged, losses
from model.evaluation.labelled import LabelledTask, own_tasks
from model.world.tasks import TASKS

TAKEN_NAMES = frozenset({REFERENCE_TASK, *(task.name for task in TASKS)})
"""Of the other old tasks."""


@dataclass(frozen=True)
class OldImages:
    """Labelled images of other datasets, which no step shows. `unreadable` and `trained` of them are left out: the
    latter are among those that are trained on.
    """

    images: ImageFiles
    records: tuple[Record, ...]
    tasks: tuple[LabelledTask, ...]
    unreadable: int = 0
    trained: int = 0

    @torch.no_grad()
    def answers(self, clip: Clip, first_row: int = 0) -> dict[str, Answers]:
        """What a model says to every task, in wordings that no training uses; the images get rows from `first_row`."""
        embeds = self._embedded(clip)
        found = {}
        for task in self.tasks:
            numbers = [task.number_of(record) for record in self.records]
            rows = torch.tensor([row for row, number in enumerate(numbers) if number is not None])
            targets = torch.tensor([number for number in numbers if number is not None])
            name = f"{task.name} of old images" if task.name in TAKEN_NAMES else task.name
            found[name] = EvaluationSet(embeds[rows], targets, first_row + rows).answers(clip, task.prompts)
        return found

    def _embedded(self, clip: Clip) -> Tensor:
        """Unit vectors. shape = [images, projection]"""
        processor = self.images.processor
        found = []
        for first in range(0, len(self.records), BATCH):
            pictures = (self.images.image(record.image) for record in self.records[first : first + BATCH])
            pixels = [each if isinstance(each, np.ndarray) else resized(processor, each) for each in pictures]
            found.append(clip.embed_images(torch.from_numpy(np.stack(pixels))))
        return torch.cat(found)


@dataclass(frozen=True)
class Held:
    """What was labelled before, by what the limits hold for: `counted`, and `told`, of which only a sure loss counts.
    `reasons`, in words, of each set that the limits do not hold for; `in_mean`: whether those that are counted are in
    the mean over the old tasks.
    """

    counted: Mapping[str, Judged] = field(default_factory=dict)
    told: Mapping[str, Judged] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    in_mean: bool = True


@dataclass(frozen=True)
class _ButOne:
    """As right as a model, but for one image."""

    said: Answers

    @property
    def rows(self) -> Tensor:
        return self.said.rows

    @property
    def right(self) -> Tensor:
        right = self.said.right.clone()
        right[right.int().argmax()] = False
        return right


def read_old(
    directory: Path,
    processor: ImageProcessor,
    trained: Set[str],
    *,
    limit_bytes: int,
    folder: Path | None,
    threads: int,
) -> OldImages:
    """The labelled images of a folder in any layout of `model.data.readers`: those that are not marked for training,
    or all where none is marked otherwise. `trained`: the sha256 of each file that is trained on; `limit_bytes` and
    `folder`: of decoded images, as `open_images` has them. At most MAX_OLD_IMAGES are read, and of tasks the
    MAX_OLD_SETS with most images are asked. Raises DataError.
    """
    records = [record for record in read_records(directory) if record.labels]
    kept = [record for record in records if record.split in ("validation", "test")]
    asked = some_of(kept or records, MAX_OLD_IMAGES, 0)
    images = open_images(directory, processor, len(asked), limit_bytes, folder)

    def read(record: Record) -> bool:
        try:
            images.add(record.image, file_bytes(directory, record.image))
        except (OSError, ProblemError):
            return False
        return True

    with images.filling(), ThreadPoolExecutor(threads) as pool:
        readable = [record for record, is_open in zip(asked, pool.map(read, asked), strict=True) if is_open]
    own = tuple(record for record in readable if images.digests[record.image] not in trained)
    by_size = sorted(own_tasks(own), key=lambda task: -sum(task.is_about([record]) for record in own))
    tasks = by_size[:MAX_OLD_SETS]
    told = tuple(record for record in own if any(task.is_about([record]) for task in tasks))
    return OldImages(images, told, tuple(tasks), len(asked) - len(readable), len(readable) - len(own))


def tell_old(found: OldImages) -> None:
    """How many images there are, of which tasks, and what was left out, in the log."""
    names = ", ".join(task.name for task in found.tasks) or "no task with two labels"
    left_out = f"; left out: {found.unreadable:,} that can't be read, {found.trained:,} that are trained on"
    print(shown(f"old: {len(found.records):,} images that were labelled before: {names}{left_out}"), flush=True)


def hold(known: Mapping[str, Judged], old: Mapping[str, Answers], mean: float, task: float) -> Held:
    """Which of the labelled sets the limits hold for, by what the base says: `known` to the other old tasks, `old` to
    these. `mean` and `task` are the limits.
    """
    can = learnt(old)
    reasons = {
        name: f"its base gets {said.right.float().mean():.0%} of these images right, where guessing gets "
        f"{1 / said.cosines.shape[1]:.0%}, and can't forget what it does not know"
        for name, said in old.items()
        if name not in can
    }
    if not can:
        return Held(reasons=reasons)
    both: dict[str, Judged] = {**known, **can}
    _, resampled = losses(both, {**known, **{name: _ButOne(said) for name, said in can.items()}})
    at_most = dict(zip(both, resampled.quantile(CONFIDENCE, dim=0).tolist(), strict=True))
    counted = {name: said for name, said in can.items() if at_most[name] <= task}
    told = {name: said for name, said in can.items() if name not in counted}
    reasons |= {
        name: f"{len(said.rows)} images are too few to show that a loss is within {task:g}: if one answer is lost, it "
        f"may be up to {at_most[name]:.2f}; only a loss that is sure to be larger counts"
        for name, said in told.items()
    }
    columns = [column for column, name in enumerate(both) if name not in told]
    in_mean = bool(counted) and float(resampled[:, columns].mean(dim=1).quantile(CONFIDENCE)) <= mean
    return Held(counted, told, reasons, in_mean)
