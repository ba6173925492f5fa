"""When a fine-tuned model counts as better than its base: what training chooses from, and what the gate asks for it.

Of the validation images that only one of the two gets right, the new model must win so many that luck alone would do it
in fewer than 1 of 20 cases (the exact form of McNemar's test, 1947: a sign test). Training chooses among several
mixtures of weights by these same images, so that chance is shared among them (Bonferroni).
"""

from itertools import count
from math import comb

ALPHAS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of the fine-tuned weights in the mixtures that training chooses from; 0 is the base checkpoint."""
SIGNIFICANCE = 0.05


def sign_test(won: int, lost: int) -> float:
    """How likely at least `won` of `won + lost` fair coin tosses are."""
    tosses = won + lost
    return float(sum(comb(tosses, heads) for heads in range(won, tosses + 1)) / 2**tosses)


def chance_allowed(mixtures: int) -> float:
    """Below which the sign test has to be, of a model that was chosen from so many mixtures."""
    return SIGNIFICANCE / max(1, mixtures)


def fewest_wins(mixtures: int = len(ALPHAS) - 1) -> int:
    """How many validation images a model has to win that loses none: with fewer, none can be better for sure."""
    return next(won for won in count(1) if sign_test(won, 0) < chance_allowed(mixtures))
