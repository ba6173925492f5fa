"""Cosines to honest probabilities, with parameters fitted on validation data.

Softmax scores get one temperature (Guo et al. 2017), lone labels a logistic curve over the cosine (Platt 1999).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from model.checkpoint import Calibration, MultiLabelCalibration

ECE_BINS = 15


def fit_calibration(cosines: Tensor, positives: Tensor, logit_scale: float) -> Calibration:
    """Both calibrations from images with sentences. `cosines` float, `positives` bool; both shapes = [images, texts]

    For the temperature an image is asked for its first true sentence among the false ones; what its other true ones
    score is no mistake.
    """
    first = positives.int().argmax(dim=1)
    also_true = positives & ~one_hot(first, positives.shape[1]).bool()
    temperature = fit_temperature([((logit_scale * cosines).masked_fill(also_true, -torch.inf), first)])
    return Calibration(temperature=temperature, multi_label=fit_multi_label(cosines.flatten(), positives.flatten()))


def fit_temperature(tasks: Sequence[tuple[Tensor, Tensor]]) -> float:
    """The temperature with the least mean cross-entropy over tasks of (logits [images, labels], targets [images])."""
    candidates = torch.logspace(-1.5, 1.5, 241)
    losses = [
        sum(cross_entropy(logits / temperature, targets).item() for logits, targets in tasks)
        for temperature in candidates
    ]
    return float(candidates[losses.index(min(losses))])


def fit_multi_label(cosines: Tensor, is_true: Tensor) -> MultiLabelCalibration:
    """Logistic regression of truth on the cosine, by Newton-like LBFGS steps. Both shapes = [pairs]

    True pairs weigh as much as false ones together, however many there are of each: among n images with a sentence
    each only 1 pair in n is true, and a curve with that base rate would call every pair false.
    """
    curve = torch.tensor([10.0, -5.0], dtype=torch.float64, requires_grad=True)
    x, y = cosines.double(), is_true.double()
    weights = torch.where(is_true.bool(), 0.5 / y.sum().clamp(min=1), 0.5 / (1 - y).sum().clamp(min=1))
    optimizer = torch.optim.LBFGS([curve], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        misfit = binary_cross_entropy_with_logits(curve[0] * x + curve[1], y, weights, reduction="sum")
        value = misfit + 1e-6 * curve.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return MultiLabelCalibration(a=float(curve.detach()[0]), b=float(curve.detach()[1]))


def expected_calibration_error(probabilities: Tensor, targets: Tensor) -> float:
    """Mean gap between confidence and accuracy over 15 equal bins of confidence, weighted by how full they are."""
    confidence, predicted = probabilities.max(dim=1)
    right = (predicted == targets).float()
    bins = (confidence * ECE_BINS).long().clamp(max=ECE_BINS - 1)
    inside = torch.nn.functional.one_hot(bins, ECE_BINS).float()  # [images, bins]
    return float(((right - confidence) @ inside).abs().sum() / len(targets))
