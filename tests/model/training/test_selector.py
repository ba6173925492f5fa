"""How much of the fine-tuned weights is published."""

import random
import struct

import pytest

from model.training.selector import ALPHAS, Candidate, drop, select

BASE = Candidate(0.0, new=0.1, old={"colour": 0.9, "shape": 0.8})


def candidate(alpha: float, new: float, colour: float, shape: float) -> Candidate:
    return Candidate(alpha, new, {"colour": colour, "shape": shape})


def random_frontier(rng: random.Random) -> list[Candidate]:
    """Any accuracies at all, on grids as fine as a few dozen images make them."""
    grid, tasks = rng.choice((10, 50, 500)), [f"task{number}" for number in range(rng.randint(0, 6))]
    width = rng.choice((0.05, 0.3, 1.0))

    def accuracy() -> float:
        return round((1 - width * rng.random()) * grid) / grid

    return [Candidate(alpha, accuracy(), {name: accuracy() for name in tasks}) for alpha in ALPHAS]


@pytest.mark.parametrize("seed", range(40))
def test_nothing_above_a_limit_is_ever_picked_and_nothing_better_within_them_is_missed(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        frontier = random_frontier(rng)
        rng.shuffle(frontier)
        limits = rng.choice((0.0, 0.02, 0.1)), rng.choice((0.0, 0.05, 0.2))
        base = next(each for each in frontier if each.alpha == 0)
        picked = select(frontier, *limits).picked
        losses = [base.old[name] - picked.old[name] for name in base.old]
        assert sum(losses) <= (limits[0] + 2e-6) * len(losses)
        assert all(loss <= limits[1] + 2e-6 for loss in losses)
        assert picked.new >= base.new
        for other in frontier:
            lost = drop(base, other)
            if lost.mean <= limits[0] and lost.worst <= limits[1]:
                assert picked.new >= other.new


def test_the_largest_gain_within_both_limits_is_picked() -> None:
    frontier = [BASE, candidate(0.5, 0.6, 0.89, 0.79), candidate(0.75, 0.8, 0.88, 0.78), candidate(1.0, 0.9, 0.7, 0.8)]
    choice = select(frontier, 0.02, 0.05)
    assert choice.picked.alpha == 0.75
    assert choice.sentence.startswith("Published are 75% fine-tuned and 25% base weights")


def test_a_small_mean_drop_does_not_excuse_a_task_that_is_lost() -> None:
    frontier = [BASE, candidate(0.5, 0.9, 1.0, 0.74)]
    assert drop(*frontier).mean < 0 and drop(*frontier).worst_task == "shape"
    assert select(frontier, 0.02, 0.05).picked is BASE
    assert select(frontier, 0.02, 0.06).picked is frontier[1]


def test_a_drop_of_exactly_the_limit_is_allowed() -> None:
    single = struct.unpack("f", struct.pack("f", 0.88))[0]
    assert single < 0.88
    assert select([BASE, candidate(1.0, 0.9, single, 0.78)], 0.02, 0.02).picked.alpha == 1


def test_nothing_new_is_published_when_nothing_qualifies_or_nothing_is_gained() -> None:
    for other in (candidate(1.0, 0.9, 0.1, 0.1), candidate(1.0, 0.1, 0.9, 0.8), candidate(1.0, 0.05, 1.0, 1.0)):
        choice = select([BASE, other], 0.02, 0.05)
        assert choice.picked is BASE
        assert choice.sentence.startswith("Nothing new is published")


def test_among_equals_the_nearest_to_the_base_is_picked() -> None:
    frontier = [candidate(1.0, 0.9, 0.9, 0.8), candidate(0.5, 0.9, 0.89, 0.79), BASE]
    assert select(frontier, 0.02, 0.05).picked.alpha == 0.5


def test_where_there_is_nothing_old_the_gain_alone_decides() -> None:
    frontier = [Candidate(alpha, new=alpha, old={}) for alpha in ALPHAS]
    assert select(frontier, 0.0, 0.0).picked.alpha == 1


def test_the_whole_frontier_goes_into_the_metrics() -> None:
    metrics = select([BASE, candidate(1.0, 0.9, 0.5, 0.9)], 0.02, 0.05).as_metrics()
    assert (metrics["alpha"], metrics["max_forgetting"], metrics["max_task_forgetting"]) == (0.0, 0.02, 0.05)
    assert metrics["frontier"][1] == {
        "alpha": 1.0,
        "new": 0.9,
        "old": {"colour": 0.5, "shape": 0.9},
        "mean_drop": 0.15,
        "worst_drop": 0.4,
        "worst_task": "colour",
    }
