"""Cosines to honest probabilities, with parameters fitted on validation data.

Softmax scores get one temperature (Guo et al. 2017), lone labels a logistic curve over the cosine (Platt 1999), and
"none of these" another one over what the labels lack in confidence.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from contract.checkpoints import Calibration, MultiLabelCalibration, UnknownCalibration
from model.clip.scoring import confidence, log_odds_of_doubt

ECE_BINS = 15
PENALTY = 1e-6
"""Of a coefficient's square, so that truth which a threshold separates gives finite ones."""
SIZE_PENALTY = 1e-3
"""Of the number of labels: where all tasks have as many, nothing is said of it."""

Pairs = tuple[Tensor, Tensor]
"""A task's cosines, float, and whether the label is true of the image, bool; both shapes = [images, labels]"""


def fit_calibration(tasks: Sequence[Pairs], logit_scale: float, weights: Sequence[float] | None = None) -> Calibration:
    """All calibrations from several tasks, each of which weighs the same, however many images and labels it has; for
    the two curves they may be weighed otherwise.

    For the temperature an image is asked for its first true label among the false ones; what its other true ones score
    is no mistake.
    """
    asked = []
    for cosines, positives in tasks:
        first = positives.int().argmax(dim=1)
        also_true = positives & ~one_hot(first, positives.shape[1]).bool()
        asked.append(((cosines * logit_scale).masked_fill(also_true, -torch.inf), first))
    temperature = fit_temperature(asked)
    return Calibration(
        temperature=temperature,
        multi_label=fit_multi_label(tasks, weights),
        unknown=fit_unknown([(logits / temperature, targets) for logits, targets in asked], weights),
    )


def fit_temperature(tasks: Sequence[tuple[Tensor, Tensor]]) -> float:
    """The temperature with the least mean cross-entropy over tasks of (logits [images, labels], targets [images])."""
    candidates = torch.logspace(-1.5, 1.5, 241)
    losses = [
        sum(cross_entropy(logits / temperature, targets).item() for logits, targets in tasks)
        for temperature in candidates
    ]
    return float(candidates[losses.index(min(losses))])


def fit_multi_label(tasks: Sequence[Pairs], weights: Sequence[float] | None = None) -> MultiLabelCalibration:
    """Logistic regression of truth on the cosine, by Newton-like LBFGS steps.

    A task's true pairs weigh as much as its false ones together, however many there are of each: among n images with a
    sentence each only 1 pair in n is true, and a curve with that base rate would call every pair false.
    """
    x = torch.cat([cosines.flatten() for cosines, _ in tasks]).double()
    y = torch.cat([positives.flatten() for _, positives in tasks]).double()
    shares = zip(weights or [1.0] * len(tasks), tasks, strict=True)
    pair_weights = torch.cat([share * _evened(positives.flatten()) for share, (_, positives) in shares])
    a, b = _logistic_regression(torch.stack([x, torch.ones_like(x)], dim=1), y, pair_weights, start=[10.0, -5.0])
    return MultiLabelCalibration(a=a, b=b)


def fit_unknown(
    tasks: Sequence[tuple[Tensor, Tensor]], weights: Sequence[float] | None = None
) -> UnknownCalibration | None:
    """Logistic regression of "no label fits" on (logits [images, labels], targets [images]), a logit of -inf being no
    label of the image's question. None where no task that weighs anything has three labels.

    Every image is asked twice, once without its label and once without another one, so that both questions have as many
    labels, and an answer is right where either is as likely.
    """
    rows, unknowns, shares = [], [], []
    for share, (logits, targets) in zip(weights or [1.0] * len(tasks), tasks, strict=True):
        asked = logits > -torch.inf
        enough = asked.sum(dim=1) >= 3
        logits, targets, asked = logits[enough], targets[enough], asked[enough]
        left_out = one_hot(targets, logits.shape[1]).bool()
        behind = (torch.arange(logits.shape[1]) - targets[:, None] - 1) % logits.shape[1]  # the target itself is last
        another = one_hot(behind.masked_fill(~asked, logits.shape[1]).argmin(dim=1), logits.shape[1]).bool()
        labels = asked.sum(dim=1) - 1
        for without, unknown in ((another, 0.0), (left_out, 1.0)):
            sure = confidence(logits.masked_fill(without, -torch.inf).softmax(dim=1), labels)
            rows.append(torch.stack([log_odds_of_doubt(sure), labels.log(), torch.ones_like(sure)], dim=1))
            unknowns.append(torch.full_like(sure, unknown))
            shares.append(torch.full_like(sure, share / max(len(sure), 1)))
    if not any(each.any() for each in shares):
        return None
    x, y, row_weights = (torch.cat(each).double() for each in (rows, unknowns, shares))
    a, b, offset = _logistic_regression(x, y, row_weights, penalties=[PENALTY, SIZE_PENALTY, PENALTY])
    return UnknownCalibration(a=a, b=b, offset=offset)


def _logistic_regression(
    x: Tensor, y: Tensor, weights: Tensor, start: Sequence[float] | None = None, penalties: Sequence[float] = (PENALTY,)
) -> list[float]:
    """The coefficients of `x` [rows, features] under which `y` [rows], from 0 to 1, is likeliest; rows are weighed."""
    weights = weights / weights.sum()
    curve = torch.tensor(start or [0.0] * x.shape[1], dtype=torch.float64, requires_grad=True)
    held = torch.tensor(penalties, dtype=torch.float64)
    optimizer = torch.optim.LBFGS([curve], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        misfit = binary_cross_entropy_with_logits(x @ curve, y, weights, reduction="sum")
        value = misfit + (held * curve.square()).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return [float(each) for each in curve.detach()]


def _evened(is_true: Tensor) -> Tensor:
    """Weights under which the true ones count as much as the false ones. shape = [pairs]"""
    y = is_true.double()
    return torch.where(is_true, 0.5 / y.sum().clamp(min=1), 0.5 / (1 - y).sum().clamp(min=1))


def expected_calibration_error(probabilities: Tensor, targets: Tensor) -> float:
    """Mean gap between confidence and accuracy over 15 equal bins of confidence, weighted by how full they are."""
    confidence, predicted = probabilities.max(dim=1)
    right = (predicted == targets).float()
    bins = (confidence * ECE_BINS).long().clamp(max=ECE_BINS - 1)
    inside = one_hot(bins, ECE_BINS).float()  # [images, bins]
    return float(((right - confidence) @ inside).abs().sum() / len(targets))
