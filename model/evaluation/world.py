"""A model's answers about the rendered world, by the code that serves it, in wordings it was never trained on."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from PIL import Image
from torch import Tensor

from contract.metrics import Wording
from model.clip.encode import Clip
from model.data.class_wording import with_article
from model.evaluation.answers import Answers, EvaluationSet, Prompts, embed_pictures, mean_accuracy, wording_gap
from model.world.examples import render
from model.world.scene import SPLITS, Split
from model.world.tasks import TASKS, Task, ask
from model.world.wording import LONE_PHRASES

EVALUATION_SEED = 1_000_003
MANY_LABELS = 50
FACT_OF_TASK = {"thing": "shape"}
SHARED_SPLITS = ("validation", "test")


class World:
    """The first `scenes` images of the splits that many tasks share, and half as many of those that are there for one
    task; embedded once however many ask about them.
    """

    def __init__(self, clip: Clip, scenes: int, seed: int = EVALUATION_SEED) -> None:
        self.clip = clip
        self.scenes = scenes
        self.seed = seed
        self._embeds: dict[Split, Tensor] = {}

    def answers(self, task: Task, split: Split | None = None) -> Answers:
        """Score a task's labels on the images of a split, by default the task's own."""
        return self.evaluation_set(task, split).answers(self.clip, task.prompts)

    def evaluation_set(self, task: Task, split: Split | None = None) -> EvaluationSet:
        """The images that a task asks about, every label equally often."""
        split = split or task.split
        questions = ask(task, split, self.seed, self._size(split))
        places = torch.tensor([question.index for question in questions], dtype=torch.long)
        targets = torch.tensor([question.target for question in questions], dtype=torch.long)
        # the images of two splits are not the same
        return EvaluationSet(self._images(split)[places], targets, SPLITS.index(split) * self.scenes + places)

    def wording_gap(self, task: Task) -> Wording | None:
        """None where training has no wordings for the task's labels alone."""
        trained = trained_wordings(task)
        return wording_gap(self.clip, self.evaluation_set(task), trained, task.prompts) if trained else None

    def every_answer(self, tasks: Sequence[Task] = TASKS) -> dict[str, Answers]:
        """Every task's answers on its own split, by the task's name."""
        return {task.name: self.answers(task) for task in tasks}

    def validation_answers(self, tasks: Sequence[Task] = TASKS) -> dict[str, Answers]:
        """What calibrations may be fitted on: images that no result is reported on."""
        return {task.name: self.answers(task, split) for task in tasks if (split := task.validation_split)}

    def _size(self, split: Split) -> int:
        return self.scenes if split in SHARED_SPLITS else self.scenes // 2

    def _images(self, split: Split) -> Tensor:
        if split not in self._embeds:
            self._embeds[split] = embed_pictures(self.clip, _rendered(self.seed, split, self._size(split)))
        return self._embeds[split]


@lru_cache(maxsize=len({task.split for task in TASKS}))
def _rendered(seed: int, split: Split, images: int) -> tuple[Image.Image, ...]:
    """Kept for the next model: the mixtures that a training chooses from are all asked about the same images."""
    return tuple(Image.fromarray(render(seed, split, index)) for index in range(images))


def trained_wordings(task: Task) -> Prompts | None:
    """How training says the task's labels where it says nothing else."""
    phrases = LONE_PHRASES.get(FACT_OF_TASK.get(task.name, task.name))
    if phrases is None:
        return None
    return [[phrase.format(label, article=with_article(label)) for phrase in phrases] for label in task.labels]


def validation_accuracy(world: World) -> float:
    """One number to watch: the mean over the tasks that a few hundred validation images can answer."""
    few = [task for task in TASKS if len(task.labels) < MANY_LABELS]
    return mean_accuracy(world.validation_answers(few).values())
