"""What a model answers: images, sentences and labels as it embeds them, its answers to a task's evaluation set, and the
figures that follow from them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import one_hot

from contract.checkpoints import Calibration
from contract.metrics import TaskFigures, Tasks, Wording
from model.clip.calibration import expected_calibration_error
from model.clip.encode import Clip
from model.clip.scoring import mean_direction

BATCH = 128
"""Images or sentences in memory at a time."""
LEARNT_ABOVE_CHANCE = 0.15
"""A base that is nearer to chance at a task has not learnt it, and can't forget it: differences there are luck."""
Prompts = Sequence[Sequence[str]]
"""The sentences of each label."""


def embed_pictures(clip: Clip, images: Iterable[Image.Image]) -> Tensor:
    """RGB images as unit vectors. shape = [images, projection]"""
    pixels = map(clip.preprocess, images)
    batches = iter(lambda: list(islice(pixels, BATCH)), [])
    return torch.cat([clip.embed_images(torch.stack(batch)) for batch in batches])


def embed_sentences(clip: Clip, texts: Sequence[str]) -> Tensor:
    """Texts as unit vectors. shape = [texts, projection]"""
    batches = (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))
    return torch.stack([text.vector for batch in batches for text in clip.embed_texts(batch)])


def embed_labels(clip: Clip, prompts: Prompts) -> Tensor:
    """One unit vector per label, the mean of its sentences. shape = [labels, projection]"""
    flat = iter(embed_sentences(clip, [sentence for sentences in prompts for sentence in sentences]))
    return mean_direction([[next(flat) for _ in sentences] for sentences in prompts])


@dataclass(frozen=True)
class Answers:
    """`cosines` float [images, labels], `targets` int [images]: the right labels, `rows` int [images]: which images
    these are, so that answers of two models or to two tasks can be paired.
    """

    cosines: Tensor
    targets: Tensor
    rows: Tensor

    @property
    def right(self) -> Tensor:
        """Whether the best label is the right one: bool [images]"""
        return self.cosines.argmax(dim=1) == self.targets

    @property
    def truth(self) -> Tensor:
        """Which label is right: bool [images, labels]"""
        return one_hot(self.targets, self.cosines.shape[1]).bool()


def learnt(answers: Mapping[str, Answers]) -> dict[str, Answers]:
    """The tasks that a model can do."""
    return {
        name: said
        for name, said in answers.items()
        if said.right.float().mean() >= 1 / said.cosines.shape[1] + LEARNT_ABOVE_CHANCE
    }


@dataclass(frozen=True)
class EvaluationSet:
    """A task's images as a model embeds them, unit vectors `embeds` float [images, projection]; else as `Answers`."""

    embeds: Tensor
    targets: Tensor
    rows: Tensor

    def answers(self, clip: Clip, prompts: Prompts) -> Answers:
        """Each label is the mean of its sentences, as it is served."""
        return Answers(self.embeds @ embed_labels(clip, prompts).T, self.targets, self.rows)


@dataclass(frozen=True)
class TaskResult:
    """One task's figures. `macro_recall` is the mean over the labels of how many of their images are found; `chance` is
    one over the number of labels; `calibration_error` is after the fitted temperature, `raw_calibration_error` before.
    """

    accuracy: float
    macro_recall: float
    chance: float
    images: int
    calibration_error: float
    raw_calibration_error: float


def result(said: Answers, logit_scale: float, temperature: float) -> TaskResult:
    """A task's figures."""
    labels = said.cosines.shape[1]
    logits = said.cosines * logit_scale
    asked = said.targets.bincount(minlength=labels)
    found = said.targets[said.right].bincount(minlength=labels)
    return TaskResult(
        accuracy=float(said.right.float().mean()),
        macro_recall=float((found[asked > 0] / asked[asked > 0]).mean()),
        chance=1 / labels,
        images=len(said.targets),
        calibration_error=expected_calibration_error((logits / temperature).softmax(dim=1), said.targets),
        raw_calibration_error=expected_calibration_error(logits.softmax(dim=1), said.targets),
    )


def task_figures(answers: Mapping[str, Answers], logit_scale: float, calibration: Calibration) -> Tasks:
    """Every task's, rounded to what they mean."""
    results = {name: result(said, logit_scale, calibration.temperature or 1.0) for name, said in answers.items()}
    return {name: TaskFigures.model_validate(rounded(asdict(found))) for name, found in results.items()}


def rounded(figures: Mapping[str, float]) -> dict[str, float]:
    """To the digits that a few thousand images can tell."""
    return {name: round(value, 4) for name, value in figures.items()}


def wrong_above_half(answers: Mapping[str, Answers], calibration: Calibration) -> dict[str, float]:
    """By task the share of wrong labels that score above 0.5 when each label is scored on its own; empty where that was
    not calibrated.
    """
    curve = calibration.multi_label
    if curve is None:
        return {}
    wrong = {name: said.cosines[~said.truth] for name, said in answers.items()}
    return rounded({name: float((curve.a * cosines + curve.b > 0).float().mean()) for name, cosines in wrong.items()})


def mean_accuracy(answers: Iterable[Answers]) -> float:
    """The mean over tasks, for progress; to judge a model look at every task."""
    return float(torch.stack([said.right.float().mean() for said in answers]).mean())


def wording_gap(clip: Clip, images: EvaluationSet, trained: Prompts, held_out: Prompts) -> Wording:
    """Ask in one wording at a time: a mean of many sentences would hide what a single one, as users give it, costs."""
    known, strange = (_mean_of_single(clip, images, prompts) for prompts in (trained, held_out))
    return Wording.model_validate(rounded({"trained": known, "held_out": strange, "gap": known - strange}))


def _mean_of_single(clip: Clip, images: EvaluationSet, prompts: Prompts) -> float:
    wordings = max(map(len, prompts))
    asked = [[[said[number % len(said)]] for said in prompts] for number in range(wordings)]
    return mean_accuracy(images.answers(clip, each) for each in asked)


def recall_at(cosines: Tensor, truth: Tensor, k: int) -> float:
    """R@k, the share of the rows for which a true column is among the k best, as in Deep visual-semantic alignments
    (Karpathy and Fei-Fei 2015); both shapes = [asked, candidates]. Columns that score the same count half way between
    the luckiest and the unluckiest order.
    """
    best = cosines.masked_fill(~truth, -torch.inf).max(dim=1, keepdim=True).values
    above = ((cosines > best) & ~truth).sum(dim=1)
    level = ((cosines == best) & ~truth).sum(dim=1)
    return float(((above + (above + level)) / 2 < k).float().mean())


def retrieval(cosines: Tensor, truth: Tensor) -> dict[str, float]:
    """Finding the sentence of an image, and the image of a sentence: R@1 and R@5; both shapes = [images, texts]. A
    sentence said of several images is one sentence, and finding any of its images is right.
    """
    directions = {"image_to_text": (cosines, truth), "text_to_image": (cosines.T, truth.T)}
    return {
        f"{name}_recall_at_{k}": round(recall_at(scores, true, k), 4)
        for name, (scores, true) in directions.items()
        for k in (1, 5)
    }
