"""Cosines to honest probabilities, with parameters fitted on validation data.

Softmax scores get one temperature (Guo et al. 2017), lone labels a logistic curve over the cosine (Platt 1999).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from contract.checkpoints import Calibration, MultiLabelCalibration

ECE_BINS = 15

Pairs = tuple[Tensor, Tensor]
"""A task's cosines, float, and whether the label is true of the image, bool; both shapes = [images, labels]"""


def fit_calibration(tasks: Sequence[Pairs], logit_scale: float, weights: Sequence[float] | None = None) -> Calibration:
    """Both calibrations from several tasks, each of which weighs the same, however many images and labels it has; for
    the multi-label curve they may be weighed otherwise.

    For the temperature an image is asked for its first true label among the false ones; what its other true ones score
    is no mistake.
    """
    asked = []
    for cosines, positives in tasks:
        first = positives.int().argmax(dim=1)
        also_true = positives & ~one_hot(first, positives.shape[1]).bool()
        asked.append(((cosines * logit_scale).masked_fill(also_true, -torch.inf), first))
    return Calibration(temperature=fit_temperature(asked), multi_label=fit_multi_label(tasks, weights))


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
    pair_weights /= pair_weights.sum()
    curve = torch.tensor([10.0, -5.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([curve], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        misfit = binary_cross_entropy_with_logits(curve[0] * x + curve[1], y, pair_weights, reduction="sum")
        value = misfit + 1e-6 * curve.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return MultiLabelCalibration(a=float(curve.detach()[0]), b=float(curve.detach()[1]))


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
