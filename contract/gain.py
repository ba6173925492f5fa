"""When a fine-tuned model counts as better than its base: what training measures, and what the gate asks of it.

Two questions, both of validation images, and both have to be answered with yes. Do the new model's answers have to do
with what is true at all? By a permutation test (Ojala and Garriga, Permutation Tests for Studying Classifier
Performance, JMLR 2010): shuffled labels pass it in 1 of 100 cases, whatever the model is. Are they better than the
base's? By Student's paired t-test of the probability that either gives to the truth, which tells more than who wins.
In it two imaginary images are counted, one won and one lost by as much as any, so that a few equal answers are no
certainty (Agresti and Min 2005).

Training chooses among mixtures of weights by the same images, so for each image the choice by all others counts
(leave-one-out cross-validation, Stone 1974).
"""

from collections.abc import Collection
from functools import cache
from itertools import count
from math import atan2, cos, lgamma, log, pi, sqrt

ALPHAS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of the fine-tuned weights in the mixtures that training chooses from; 0 is the base checkpoint."""
UNRELATED_BELOW = 0.01
"""How likely luck may be where answers seem to have to do with what is true."""
NO_GAIN_BELOW = 0.05
"""And where they seem better than the base's."""
ENOUGH_IMAGES = 30
"""For validation, with which a model that is better by 20 points mostly passes: of two labels, where the base guesses,
in half of the cases.
"""
_STEPS = 2000
_ROUNDING = 1e-9


def chance_of_no_gain(images: int, mean: float, deviation: float, largest: float) -> float:
    """How likely luck is, by Student's t, of gains with such a mean and standard deviation (of the sample: divided by
    their number), the largest of which, or the largest loss, is so much.
    """
    if images < 1:
        return 1.0
    n = images + 2
    average = images * mean / n
    squares = images * (deviation**2 + mean**2) + 2 * largest**2
    variance = (squares - n * average**2) / (n - 1)
    return _upper_tail(average / sqrt(variance / n), n - 1) if variance > 0 else 1.0


@cache
def fewest_images() -> int:
    """For validation: with fewer, no model passes that wins all of them entirely."""
    return next(images for images in count(1) if chance_of_no_gain(images, 1.0, 0.0, 1.0) < NO_GAIN_BELOW)


def missing_images(alike: Collection[int]) -> int:
    """How many validation images are missing until a model can pass, if those that are added say what has been said
    least. `alike`: of how many images the same is said.

    Images of which the same is said can't be permuted: of three cats and two dogs one order in ten is right.
    """
    counts = [0, 0, *alike]  # others may say what nobody has said yet
    missing = 0
    while sum(counts) < fewest_images() or _log_orders(counts) <= -log(UNRELATED_BELOW) + _ROUNDING:
        counts.sort()
        counts[len(counts) - max(2, len(alike))] += 1
        missing += 1
    return missing


def _log_orders(counts: Collection[int]) -> float:
    """The logarithm of in how many ways labels can lie on images."""
    return lgamma(sum(counts) + 1) - sum(lgamma(count + 1) for count in counts)


def _upper_tail(t: float, freedom: int) -> float:
    """The probability that Student's t with so many degrees of freedom is larger, by Simpson's rule.

    With t = sqrt(f) tan(x) the density is that of cos(x) to the power of f - 1, between -pi/2 and pi/2.
    """
    start = atan2(t, sqrt(freedom))
    return _integral(start, pi / 2, freedom - 1) / _integral(-pi / 2, pi / 2, freedom - 1)


def _integral(start: float, end: float, power: int) -> float:
    step = (end - start) / _STEPS
    values = [max(0.0, cos(start + step * place)) ** power for place in range(_STEPS + 1)]
    return step / 3 * (values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2]))
