"""From unit vectors to answers: pure functions, fp32, on the CPU.

Shapes: B images, L labels, P prompts (sentences that stand for labels), D width of the shared space.
"""

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import linear, normalize

from contract.answers import LabelScore
from contract.checkpoints import Calibration, UnknownCalibration
from contract.questions import UNKNOWN_LABEL, Label, Question

NEUTRAL_WORD = "something"
"""What a label is compared with when it is scored on its own and the checkpoint is not calibrated."""


def prompts_of(question: Question) -> Iterator[str]:
    """Every sentence whose embedding `score` will ask for."""
    for label in question.candidate_labels:
        yield from question.prompts(label)
    if question.multi_label:
        yield from neutral_prompts(question)


def neutral_prompts(question: Question) -> list[str]:
    """The question's templates, filled with a word that fits any image."""
    return question.prompts(Label(label=NEUTRAL_WORD))


def mean_direction(groups: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
    """Groups of unit vectors [D] to the unit vectors of their means [L, D] (prompt ensembling, CLIP section 3.1.4)."""
    prompts = torch.stack([vector for group in groups for vector in group])  # [P, D]
    sizes = torch.tensor([len(group) for group in groups])  # [L]
    owner = torch.repeat_interleave(torch.arange(len(groups)), sizes)  # [P]
    sums = torch.zeros(len(groups), prompts.shape[1]).index_add_(0, owner, prompts)  # [L, D]
    return normalize(sums, dim=-1)


@dataclass(frozen=True)
class LabelEmbeds:
    """A question's labels as unit vectors [L, D], and with `multi_label` its neutral prompt as another [1, D]."""

    labels: torch.Tensor
    neutral: torch.Tensor | None

    @property
    def are_finite(self) -> bool:
        """Whether they are numbers at all."""
        neutral = self.labels if self.neutral is None else self.neutral
        return bool(torch.isfinite(self.labels).all() and torch.isfinite(neutral).all())


def label_embeds(question: Question, text_embeds: Mapping[str, torch.Tensor]) -> LabelEmbeds:
    """What images are compared with. text_embeds holds a unit vector for each of `prompts_of(question)`."""
    groups = [[text_embeds[prompt] for prompt in question.prompts(label)] for label in question.candidate_labels]
    neutral = [[text_embeds[prompt] for prompt in neutral_prompts(question)]] if question.multi_label else None
    return LabelEmbeds(mean_direction(groups), None if neutral is None else mean_direction(neutral))


def score(
    embeds: LabelEmbeds, image_embeds: torch.Tensor, logit_scale: float, calibration: Calibration
) -> torch.Tensor:
    """Scores [B, L] of a question's labels for image_embeds [B, D].

    Softmax over the labels, or with `multi_label` each label on its own: calibrated sigmoid(a * cosine + b), else
    against a neutral prompt.
    """
    cosines = linear(image_embeds, embeds.labels)  # [B, L]
    if embeds.neutral is None:
        return torch.softmax(cosines * (logit_scale / (calibration.temperature or 1.0)), dim=-1)
    if calibration.multi_label is not None:
        return torch.sigmoid(calibration.multi_label.a * cosines + calibration.multi_label.b)
    return torch.sigmoid(logit_scale * (cosines - image_embeds @ embeds.neutral.T))  # [B, L] - [B, 1]


def confidence(scores: torch.Tensor, labels: int | torch.Tensor) -> torch.Tensor:
    """How far the best of an image's softmax scores [..., L] is from chance, 1 / labels, to certainty: 0 to 1, [...]

    The confidence of maximum concept matching, Delving into Out-of-Distribution Detection with Vision-Language
    Representations, Ming et al. 2022. Prompts of the background and a bank of other words, as NegLabel has (Jiang et
    al. 2024), told less: benchmarks/unknown.md. `labels`: how many were asked, two or more, if L holds others too.
    """
    chance = 1 / torch.as_tensor(labels)
    return ((scores.amax(dim=-1) - chance) / (1 - chance)).clamp(0, 1)


def log_odds_of_doubt(confidence: torch.Tensor) -> torch.Tensor:
    """ln((1 - c) / c), finite for every confidence c."""
    return -torch.logit(confidence, eps=1e-6)


def unknown_by_confidence(scores: torch.Tensor, calibration: UnknownCalibration | None) -> torch.Tensor:
    """How likely it is that no label fits, from an image's softmax scores [..., L], two labels or more: 0 to 1, [...]

    A checkpoint that is not calibrated for it gives what its labels lack in confidence.
    """
    labels = scores.shape[-1]
    sure = confidence(scores, labels)
    if calibration is None:
        return 1 - sure
    return torch.sigmoid(
        calibration.a * log_odds_of_doubt(sure) + calibration.b * math.log(labels) + calibration.offset
    )


def with_unknown(scores: torch.Tensor, unknown: torch.Tensor) -> torch.Tensor:
    """Softmax scores [..., L] as shares of what `unknown` [...] leaves them, and it behind them. [..., L + 1], sum 1"""
    return torch.cat([scores * (1 - unknown[..., None]), unknown[..., None]], dim=-1)


def rank(question: Question, scores: torch.Tensor) -> list[LabelScore]:
    """One image's scores [L] as answers, best first, cut by `top_k` and thresholds; equal scores keep their order.

    If the question asks for `unknown`, its score is the last of L + 1.
    """
    names = [each.label for each in question.candidate_labels]
    if question.unknown:
        names.append(UNKNOWN_LABEL)
    values = scores.tolist()
    most = len(values) if question.top_k is None else question.top_k
    best = heapq.nlargest(most, range(len(values)), key=values.__getitem__)
    answers: list[LabelScore] = [{"label": names[index], "score": values[index]} for index in best]
    if question.threshold is None and not question.thresholds:
        return answers
    return [answer for answer in answers if answer["score"] >= question.threshold_of(answer["label"])]
