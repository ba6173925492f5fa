"""What a choice among mixtures of weights gains over the base, image by image: what `contract.gain` judges by.

Of an image the probability counts that a model gives to what is true of it, after a temperature of its own: one that is
only surer or only more careful has gained nothing. What it gives to what is true of the others is subtracted: knowing
how frequent the labels are is no gain, either.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from contract.metrics import WinLoss
from model.clip.calibration import fit_temperature
from model.data.batch import Batch, Question
from model.evaluation.validation import deciding, part, right

PERMUTATIONS = 1999
SEED = 0


@dataclass(frozen=True)
class Answered:
    """What a model says to a batch's deciding questions. `right`: as `model.evaluation.validation` has it [images].
    By question: `truth`, the number of what is true of each of its images, int [images]; and `agreement`, the
    probability that each gives to what is true of any, by that number [images, numbers]: one for each label.
    """

    right: Tensor
    questions: tuple[Question, ...]
    truth: tuple[Tensor, ...]
    agreement: tuple[Tensor, ...]

    @classmethod
    def of(cls, cosines: Tensor, logit_scale: float, batch: Batch) -> "Answered":
        """`cosines` float [images, texts]"""
        questions = tuple(deciding(batch))
        logits = batch.without_unknown(cosines * logit_scale)
        asked = [(part(logits, each), part(batch.positives, each)) for each in questions]
        temperature = fit_temperature([_one_true(*each) for each in asked])
        known = [torch.unique(true, dim=0, return_inverse=True) for _, true in asked]
        agreement = [
            (said / temperature).softmax(dim=1) @ truths.float().T
            for (said, _), (truths, _) in zip(asked, known, strict=True)
        ]
        return cls(right(cosines, batch), questions, tuple(number for _, number in known), tuple(agreement))


def _one_true(logits: Tensor, positives: Tensor) -> tuple[Tensor, Tensor]:
    """Logits without all true texts but the best, and which that is."""
    best = logits.masked_fill(~positives, -torch.inf).argmax(dim=1)
    others = positives & ~one_hot(best, positives.shape[1]).bool()
    return logits.masked_fill(others, -torch.inf), best


def evidence(frontier: Sequence[Answered], allowed: Sequence[int], chosen: int) -> WinLoss:
    """What `chosen` of the frontier wins and loses against its first one, the base; and what the choice among those
    `allowed` gains, for each image by all others.
    """
    base, model = frontier[0], frontier[chosen]
    choices = _left_out_choices([frontier[place].right for place in allowed], allowed[0] == 0)
    gains, asked = torch.zeros(len(base.right)), torch.zeros(len(base.right))
    agreements = []
    for number, question in enumerate(base.questions):
        images = list(question.images)
        rows = range(len(images))
        picked = [allowed[choice] for choice in choices[images].tolist()]
        agreement = torch.stack([frontier[pick].agreement[number][row] for row, pick in zip(rows, picked, strict=True)])
        gains[images] += _above_others(agreement - base.agreement[number], base.truth[number])
        asked[images] += 1
        agreements.append((agreement, base.truth[number]))
    gains = gains / asked.clamp(min=1)
    return WinLoss(
        images=len(gains),
        won=int((model.right > base.right).sum()),
        lost=int((base.right > model.right).sum()),
        mean=round(float(gains.mean()), 6),
        deviation=round(float(gains.std(correction=0)), 6),
        largest=round(float(gains.abs().max()), 6),
        unrelated=round(_chance_of_unrelated(agreements), 6),
    )


def _left_out_choices(rights: Sequence[Tensor], base_is_first: bool) -> Tensor:
    """For each image which model is right most often about all others; of equals the base, or else the last, which is
    the furthest from it. int [images]
    """
    table = torch.stack(list(rights)).double()
    others = (table.sum(dim=1, keepdim=True) - table).round(decimals=6)
    rank = torch.arange(1, len(rights) + 1)
    if base_is_first:
        rank[0] = len(rights) + 1
    return (rank[:, None] * (others == others.max(dim=0).values)).argmax(dim=0)


def _above_others(values: Tensor, truth: Tensor) -> Tensor:
    """What each image has by its own number in [images, numbers], less the mean by those of the others. [images]"""
    own = values.gather(1, truth[:, None])[:, 0]
    every = values @ truth.bincount(minlength=values.shape[1]).to(values.dtype)
    return own - (every - own) / max(1, len(values) - 1)


def _chance_of_unrelated(agreements: Sequence[tuple[Tensor, Tensor]]) -> float:
    """How often images agree as much with what is true of others, drawn for each question by a permutation."""
    generator = torch.Generator().manual_seed(SEED)
    observed = sum(float(values.double().gather(1, truth[:, None]).sum()) for values, truth in agreements)
    totals = torch.zeros(PERMUTATIONS, dtype=torch.float64)
    for values, truth in agreements:
        size = len(values)
        orders = torch.rand(PERMUTATIONS, size, generator=generator).argsort(dim=1)
        totals += values.double()[torch.arange(size), truth[orders]].sum(dim=1)
    return float(1 + (totals >= observed - 1e-9).sum()) / (1 + PERMUTATIONS)
