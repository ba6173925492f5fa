"""From what was measured of a finished run to its report: tasks, confusions, calibration, and the worst mistakes."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import one_hot

from contract.checkpoints import CheckpointMetadata
from contract.idempotency import now
from contract.limits import MAX_REPORTED_TASKS
from contract.metrics import Change, Heads, Interpolation, Metrics, TaskFigures, Tasks, Validation, WinLoss
from contract.progress import HistoryPoint
from contract.reports import (
    MAX_CONFUSED_LABELS,
    MAX_MISTAKES,
    MAX_REPORTED_CHARS,
    CalibrationBin,
    Confusion,
    Mistake,
    Mixture,
    Report,
    ReportedReference,
    ReportedTask,
    TaskKind,
)
from contract.verdict import forgotten, mean_over, outcome
from model.clip.image import open_image
from model.data.examples import ManifestExamples
from model.data.images import RgbImage
from model.data.shards import file_bytes
from model.training.card import commands
from model.training.loop import Loop
from model.training.measure import NewDomain, Said
from model.training.progress import thinned
from model.training.projection import new_examples

THUMBNAIL_PX = 112
THUMBNAIL_QUALITY = 70
BINS = 10


@dataclass(frozen=True)
class Asked:
    """A question that many images were asked: `cosines` float and `truth` bool, both [images, labels]; `picture` shows
    the image of a row.
    """

    task: str
    labels: Sequence[str]
    cosines: Tensor
    truth: Tensor
    names: Sequence[str]
    picture: Callable[[int], RgbImage]

    def scores(self, scale: float) -> Tensor:
        """Probabilities of an image's best true label among the false ones. shape = [images, labels]"""
        logits = self.cosines * scale
        also_true = self.truth & ~one_hot(self.targets, len(self.labels)).bool()
        return logits.masked_fill(also_true, -torch.inf).softmax(dim=1)

    @property
    def targets(self) -> Tensor:
        """The true label of an image that scores best. int [images]"""
        return self.cosines.masked_fill(~self.truth, -torch.inf).argmax(dim=1)


def labelled(domain: NewDomain, said: Said) -> list[Asked]:
    """The new domain's tasks, as they are reported."""

    def asked(task: str, labels: Sequence[str]) -> Asked:
        answers = said.answers[task]
        names = [said.records[row].image for row in answers.rows.tolist()]
        picture = [lambda name=name: open_image(file_bytes(domain.directory, name), THUMBNAIL_PX) for name in names]
        return Asked(task, labels, answers.cosines, answers.truth, names, lambda row: picture[row]())

    return [asked(task.name, task.labels) for task in domain.tasks[:MAX_REPORTED_TASKS]]


def captioned(loop: Loop) -> Asked:
    """The validation images among all of their sentences, where the data names no labels."""
    cosines, batch = loop.validation_cosines()
    examples, new = loop.examples, new_examples(loop.examples)
    names = [new.records[row].image if isinstance(new, ManifestExamples) else str(row) for row in batch.rows]
    shown = batch.without_unknown(cosines)
    return Asked("", batch.texts, shown, batch.positives, names, lambda row: examples.image(batch.rows[row]))


def report_of(
    metadata: CheckpointMetadata, asked: Sequence[Asked], scale: float, history: list[HistoryPoint]
) -> Report:
    """The report. `scale` is what cosines are multiplied by before the softmax, its temperature included."""
    metrics = Metrics.of(metadata.metrics)
    gain, mixed = metrics.gain or WinLoss(), metrics.interpolation or Interpolation()
    drops, in_mean = forgotten(metrics), mean_over(metrics)
    worst = max(drops, key=lambda task: drops[task], default=None)
    said = outcome(metrics)
    return Report(
        version=metadata.version,
        created=now(),
        parent=metadata.parent,
        outcome=f"{said[:1].upper()}{said[1:]}.",
        strategy=metrics.strategy.sentence if metrics.strategy else None,
        choice=mixed.sentence,
        accuracy_before=(metrics.before or Validation()).validation_accuracy,
        accuracy_after=(metrics.after or Validation()).validation_accuracy,
        validation_images=gain.images,
        won=gain.won,
        lost=gain.lost,
        history=thinned(history),
        tasks=[
            *_tasks("new", metrics.new_before, metrics.new, metrics.new_change, metrics.new_heads),
            *_tasks("old", metrics.world_before, metrics.world, metrics.world_change, None),
            *_tasks("labelled", metrics.old_before, metrics.old, metrics.old_change, None, metrics.old_reasons),
        ],
        reported_on=metrics.new_reported_on,
        confusions=[confusion(each) for each in asked if each.task],
        calibration=calibration(asked, scale),
        mean_drop=round(sum(in_mean.values()) / len(in_mean), 4) if in_mean else None,
        worst_drop=round(drops[worst], 4) if worst else None,
        worst_task=worst,
        max_forgetting=mixed.max_forgetting,
        max_task_forgetting=mixed.max_task_forgetting,
        reference=_reference(metrics),
        alpha=mixed.alpha,
        frontier=_mixtures(mixed),
        mistakes=mistakes(asked, scale),
        recipe=metrics.hyperparameters or {},
        commands=commands(metrics),
        data_digest=metadata.data_digest,
    )


def _tasks(
    kind: TaskKind,
    before: Tasks | None,
    after: Tasks | None,
    changes: Mapping[str, Change] | None,
    heads: Mapping[str, Heads] | None,
    reasons: Mapping[str, str] | None = None,
) -> Iterator[ReportedTask]:
    for name, found in list((after or {}).items())[:MAX_REPORTED_TASKS]:
        was, changed = (before or {}).get(name, TaskFigures()), (changes or {}).get(name, Change())
        taught = (heads or {}).get(name, Heads())
        yield ReportedTask(
            name=cut(name),
            kind=kind,
            images=found.images,
            chance=found.chance,
            before=was.accuracy,
            after=found.accuracy,
            low=changed.low,
            high=changed.high,
            taught_images=taught.images,
            taught_before=taught.before,
            taught_after=taught.after,
            no_limit=(reasons or {}).get(name),
        )


def _reference(metrics: Metrics) -> ReportedReference | None:
    found = metrics.reference
    if found is None or found.images is None or found.agreement is None:
        return None
    return ReportedReference(
        images=found.images, agreement=found.agreement, agreement_at_least=found.agreement_at_least
    )


def _mixtures(found: Interpolation) -> list[Mixture]:
    return [
        Mixture(
            alpha=point.alpha,
            published=point.alpha == found.alpha,
            accuracy=point.new,
            mean_drop=point.mean_drop,
            mean_drop_at_most=point.mean_drop_at_most,
            worst_drop=point.worst_drop,
            worst_drop_at_most=point.worst_drop_at_most,
            worst_task=point.worst_task,
        )
        for point in found.frontier or ()
        if point.alpha is not None and point.new is not None
    ]


def confusion(asked: Asked) -> Confusion:
    """How often each label is taken for which. Of many labels those that take part in most mistakes."""
    labels = len(asked.labels)
    pairs = asked.targets * labels + asked.cosines.argmax(dim=1)
    counts = pairs.bincount(minlength=labels * labels).reshape(labels, labels)
    wrong = counts.sum(dim=0) + counts.sum(dim=1) - 2 * counts.diagonal()
    kept = sorted(wrong.argsort(descending=True, stable=True)[:MAX_CONFUSED_LABELS].tolist())
    return Confusion(
        task=cut(asked.task),
        labels=[cut(asked.labels[label]) for label in kept],
        counts=counts[kept][:, kept].tolist(),
        left_out=labels - len(kept),
    )


def calibration(asked: Sequence[Asked], scale: float) -> list[CalibrationBin]:
    """How often answers are right that are about as sure, of all questions together."""
    if not asked:
        return []
    best = [each.scores(scale).max(dim=1) for each in asked]
    sure = torch.cat([found.values for found in best])
    right = torch.cat([found.indices == each.targets for found, each in zip(best, asked, strict=True)]).float()
    bins = (sure * BINS).long().clamp(max=BINS - 1)
    inside = [bins == number for number in range(BINS)]
    return [
        CalibrationBin(
            images=int(chosen.sum()),
            confidence=round(float(sure[chosen].mean()), 4),
            accuracy=round(float(right[chosen].mean()), 4),
        )
        for chosen in inside
        if chosen.any()
    ]


def mistakes(asked: Sequence[Asked], scale: float) -> list[Mistake]:
    """The worst of them: what was said most surely, and is wrong."""
    worst = sorted(chain.from_iterable(_wrong(each, scale) for each in asked), key=lambda found: -found[0])
    return [_mistake(each, row, each.scores(scale)[row]) for _, each, row in worst[:MAX_MISTAKES]]


def _wrong(asked: Asked, scale: float) -> Iterator[tuple[float, Asked, int]]:
    scores = asked.scores(scale).max(dim=1)
    for row in (scores.indices != asked.targets).nonzero()[:, 0].tolist():
        yield float(scores.values[row]), asked, row


def _mistake(asked: Asked, row: int, scores: Tensor) -> Mistake:
    said, truth = int(scores.argmax()), int(asked.targets[row])
    return Mistake(
        image=cut(asked.names[row]),
        task=cut(asked.task),
        said=cut(asked.labels[said]),
        score=round(float(scores[said]), 4),
        truth=cut(asked.labels[truth]),
        truth_score=round(float(scores[truth]), 4),
        thumbnail=thumbnail(asked.picture(row)),
    )


def thumbnail(picture: RgbImage) -> str:
    """A small JPEG in base64; its longer side has THUMBNAIL_PX pixels at most."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture.transpose(1, 2, 0))
    small, written = image.copy(), BytesIO()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    small.save(written, "JPEG", quality=THUMBNAIL_QUALITY)
    return base64.b64encode(written.getvalue()).decode()


def cut(text: str) -> str:
    """A text that is no longer than a report's may be."""
    return text if len(text) <= MAX_REPORTED_CHARS else f"{text[: MAX_REPORTED_CHARS - 1]}…"
