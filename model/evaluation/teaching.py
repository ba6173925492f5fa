"""What some images of each class teach a task at once: how good and how honest the head is about others.

Embeddings are made once; so many images of every class are drawn several times, and all that are held out are asked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from model.clip.calibration import expected_calibration_error
from model.clip.encode import Clip
from model.clip.head import fit_head
from model.data.records import DataError
from model.evaluation.answers import EvaluationSet, embed_labels
from model.evaluation.labelled import EmbeddedImages, own_tasks
from model.evaluation.report import markdown

EACH = (1, 2, 4, 8, 16, 50, 100, 200)
"""Images of every class that are drawn, as far as there are so many."""
DRAWS = 5
MOST_DOUBTFUL = 10
WORDS, HEAD, SERVED = "words", "head", "served"
"""The last: where leaving images out shows no gain, the words answer instead of the head."""


@dataclass(frozen=True)
class TeachingSet:
    """Images to be drawn from and images to be asked, and each label's text as it is served [K, d]; `background` of the
    model, and `paths` of `train`, where these are files.
    """

    labels: Sequence[str]
    train: EvaluationSet
    test: EvaluationSet
    texts: Tensor
    background: Tensor | None = None
    paths: Sequence[str] = ()

    def draw(self, each: int, seed: int) -> Tensor:
        """Rows of `train`: so many images of every label, or all where it has fewer."""
        order = torch.randperm(len(self.train.targets), generator=torch.Generator().manual_seed(seed))
        targets = self.train.targets[order]
        return order[_order(targets, len(self.labels)) <= each].sort().values


Method = Callable[[Tensor, Tensor, Tensor, float, Tensor], Tensor]
"""From annotated images [N, d], their labels [N], texts [K, d], the scale of logits, and images that are asked about
[B, d] to logits [B, K]."""


@dataclass(frozen=True)
class Figures:
    """Of each draw."""

    accuracies: list[float] = field(default_factory=list)
    calibration_errors: list[float] = field(default_factory=list)

    def add(self, logits: Tensor, targets: Tensor) -> None:
        """What was answered in one draw."""
        self.accuracies.append(float((logits.argmax(dim=1) == targets).float().mean()))
        self.calibration_errors.append(expected_calibration_error(logits.softmax(dim=1), targets))


Learnt = dict[str, dict[int, Figures]]
"""By method, then by images of each class."""


def served_scale(clip: Clip) -> float:
    """What cosines are multiplied by where softmax scores are served."""
    return clip.logit_scale / (clip.calibration.temperature or 1.0)


def teaching_set(clip: Clip, images: EmbeddedImages) -> TeachingSet:
    """Of a folder's images with one kind of label: its test images are asked, or else every second one of each class.

    Raises DataError.
    """
    tasks = own_tasks(images.records)
    if len(tasks) != 1:
        named = ", ".join(task.name for task in tasks) or "none"
        raise DataError(
            f"to be taught, images need one kind of label, as a folder for each class gives: here is {named}"
        )
    (task,) = tasks
    found = images.evaluation_set(task)
    asked = torch.tensor([images.records[row].split == "test" for row in found.rows.tolist()])
    if not asked.any():
        asked = _order(found.targets, len(task.labels)) % 2 == 0
    if asked.all() or not asked.any():
        raise DataError(
            f"of {len(asked)} images {int(asked.sum())} are there to ask: some must teach, and others be asked"
        )
    train, test = (EvaluationSet(found.embeds[rows], found.targets[rows], found.rows[rows]) for rows in (~asked, asked))
    paths = [images.records[row].image for row in train.rows.tolist()]
    return TeachingSet(task.labels, train, test, embed_labels(clip, task.prompts), clip.background, paths)


def _order(targets: Tensor, labels: int) -> Tensor:
    """The place of each image among those of its label, from 1."""
    return one_hot(targets, labels).cumsum(dim=0).gather(1, targets[:, None])[:, 0]


def learn(found: TeachingSet, scale: float, methods: Mapping[str, Method] | None = None) -> Learnt:
    """By the words alone, by the head, and by other methods."""
    learnt: Learnt = {name: {} for name in (WORDS, *(methods or {}), HEAD, SERVED)}
    most = int(found.train.targets.bincount().max())
    asked, targets = found.test.embeds, found.test.targets
    by_words = scale * asked @ found.texts.T
    for each in (each for each in EACH if each <= most):
        for seed in range(DRAWS):
            rows = found.draw(each, seed)
            images, labels = found.train.embeds[rows], found.train.targets[rows]
            lesson = fit_head(images, labels, found.texts, scale, found.background)
            by_head = lesson.head.logits(asked)
            said = {WORDS: by_words, HEAD: by_head, SERVED: by_head if lesson.has_gain else by_words}
            said |= {
                name: method(images, labels, found.texts, scale, asked) for name, method in (methods or {}).items()
            }
            for name, logits in said.items():
                learnt[name].setdefault(each, Figures()).add(logits, targets)
    return learnt


def served_accuracy(
    train: EvaluationSet, asked: EvaluationSet, texts: Tensor, scale: float, background: Tensor | None
) -> float:
    """Of a task that `train` has taught: by its head, or by its words where leaving images out shows no gain."""
    lesson = fit_head(train.embeds, train.targets, texts, scale, background)
    logits = lesson.head.logits(asked.embeds) if lesson.has_gain else asked.embeds @ texts.T
    return float((logits.argmax(dim=1) == asked.targets).float().mean())


def learnt_table(learnt: Learnt, honest: Sequence[str] = (WORDS, HEAD, SERVED)) -> str:
    """Mean accuracy by images of each class, and mean calibration error of some methods."""
    counts = list(learnt[WORDS])
    rows = [[name, *(f"{fmean(by[each].accuracies):.3f}" for each in counts)] for name, by in learnt.items()]
    rows += [
        [f"calibration error: {name}", *(f"{fmean(learnt[name][each].calibration_errors):.3f}" for each in counts)]
        for name in honest
    ]
    return markdown(["images of each class", *map(str, counts)], rows, aligned=True)


def learnt_figures(learnt: Learnt) -> dict[str, dict[str, dict[str, float]]]:
    """The same by method and images of each class."""
    return {
        name: {
            str(each): {
                "accuracy": round(fmean(figures.accuracies), 4),
                "calibration_error": round(fmean(figures.calibration_errors), 4),
            }
            for each, figures in by.items()
        }
        for name, by in learnt.items()
    }


@dataclass(frozen=True)
class Doubtful:
    """An annotation that is likely wrong, and what the head says of the image instead, without having seen it."""

    path: str
    label: str
    instead: str
    doubt: float


def doubtful(found: TeachingSet, scale: float) -> list[Doubtful]:
    """Annotations of `train` that are rather wrong than right, the worst first, at most MOST_DOUBTFUL."""
    lesson = fit_head(found.train.embeds, found.train.targets, found.texts, scale, found.background)
    rows = [row for row in lesson.doubts.argsort(descending=True).tolist() if lesson.doubts[row] > 0.5]
    instead = lesson.logits.argmax(dim=1)
    return [
        Doubtful(
            found.paths[row],
            found.labels[int(found.train.targets[row])],
            found.labels[int(instead[row])],
            float(lesson.doubts[row]),
        )
        for row in rows[:MOST_DOUBTFUL]
    ]
