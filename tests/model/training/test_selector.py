"""How much of the fine-tuned weights is published."""

import random
import struct

import pytest
import torch

from model.evaluation.answers import Answers
from model.evaluation.bootstrap import CONFIDENCE, losses
from model.training.selector import ALPHAS, Candidate, Drop, select

NOTHING = Drop({"colour": 0.0, "shape": 0.0}, 0.0)
BASE = Candidate(0.0, new=0.1, lost=NOTHING, at_most=NOTHING)


def candidate(alpha: float, new: float, colour: float, shape: float) -> Candidate:
    """What is lost at two tasks, known without doubt."""
    lost = Drop({"colour": colour, "shape": shape}, (colour + shape) / 2)
    return Candidate(alpha, new, lost, lost)


def random_frontier(rng: random.Random) -> list[Candidate]:
    """Any losses at all, on grids as fine as a few dozen images make them, and any doubt."""
    grid, tasks = rng.choice((10, 50, 500)), [f"task{number}" for number in range(rng.randint(0, 6))]
    width = rng.choice((0.05, 0.3, 1.0))

    def at_random(alpha: float) -> Candidate:
        lost = {name: round(width * (rng.random() - 0.3) * grid) / grid for name in tasks}
        at_most = {name: loss + 0.1 * rng.random() for name, loss in lost.items()}
        drops = [Drop(each, sum(each.values()) / max(1, len(each))) for each in (lost, at_most)]
        return Candidate(alpha, round(rng.random() * grid) / grid, *drops)

    nothing = Drop(dict.fromkeys(tasks, 0.0), 0.0)
    return [Candidate(0.0, 0.5, nothing, nothing), *(at_random(alpha) for alpha in ALPHAS if alpha > 0)]


@pytest.mark.parametrize("seed", range(40))
def test_nothing_that_may_exceed_a_limit_is_ever_picked_and_nothing_better_within_them_is_missed(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        frontier = random_frontier(rng)
        rng.shuffle(frontier)
        mean, task = rng.choice((0.0, 0.02, 0.1)), rng.choice((0.0, 0.05, 0.2))
        picked = select(frontier, mean, task).picked
        at_most = picked.at_most.tasks.values()
        assert sum(at_most) <= (mean + 2e-6) * max(1, len(at_most)) and all(loss <= task + 2e-6 for loss in at_most)
        assert picked.new >= 0.5
        for other in frontier:
            if other.at_most.mean <= mean and all(loss <= task for loss in other.at_most.tasks.values()):
                assert picked.new >= other.new


def a_models_answers(right: torch.Tensor) -> Answers:
    """Of two labels the first is the right one; `right` bool [images]"""
    cosines = torch.stack([right.float(), 1 - right.float()], dim=1)
    return Answers(cosines, torch.zeros(len(right), dtype=torch.long), torch.arange(len(right)))


def test_a_mixture_that_costs_more_than_is_allowed_is_published_less_than_once_in_twenty_times() -> None:
    torch.manual_seed(0)
    before, limit, times, published_by_estimate, published = 0.9, 0.05, 300, 0, 0
    for _ in range(times):
        base = torch.rand(400) < before
        after = base & (torch.rand(400) < 1 - 0.055 / before)  # costs .055 in truth
        said = {"count": a_models_answers(base)}
        lost, resampled = losses(said, {"count": a_models_answers(after)})
        published_by_estimate += float(lost[0]) <= limit
        at_most = Drop({"count": float(resampled.quantile(CONFIDENCE, dim=0)[0])}, 0.0)
        published += select([BASE, Candidate(1.0, 0.9, at_most, at_most)], 1.0, limit).picked.alpha == 1
    assert published_by_estimate > 0.2 * times
    assert published < 0.05 * times


def test_the_largest_gain_within_both_limits_is_picked() -> None:
    frontier = [BASE, candidate(0.5, 0.6, 0.01, 0.01), candidate(0.75, 0.8, 0.02, 0.02), candidate(1.0, 0.9, 0.2, 0)]
    choice = select(frontier, 0.02, 0.05)
    assert choice.picked.alpha == 0.75
    assert choice.sentence.startswith("Published are 75% fine-tuned and 25% base weights")


def test_a_small_mean_drop_does_not_excuse_a_task_that_is_lost() -> None:
    frontier = [BASE, candidate(0.5, 0.9, -0.1, 0.06)]
    assert frontier[1].lost.mean < 0 and frontier[1].lost.worst_task == "shape"
    assert select(frontier, 0.02, 0.05).picked is BASE
    assert select(frontier, 0.02, 0.06).picked is frontier[1]


def test_an_estimate_within_the_limit_does_not_do_where_more_may_be_lost() -> None:
    lost, at_most = Drop({"colour": 0.04}, 0.01), Drop({"colour": 0.07}, 0.015)
    assert select([BASE, Candidate(1.0, 0.9, lost, at_most)], 0.02, 0.05).picked is BASE


def test_a_drop_of_exactly_the_limit_is_allowed() -> None:
    single = struct.unpack("f", struct.pack("f", 0.02))[0]
    assert single != 0.02
    assert select([BASE, candidate(1.0, 0.9, single, single)], 0.02, 0.02).picked.alpha == 1
    assert select([BASE, candidate(1.0, 0.9, 0.9 - 0.88, 0.02)], 0.02, 0.02).picked.alpha == 1


def test_nothing_new_is_published_when_nothing_qualifies_or_nothing_is_gained() -> None:
    for other in (candidate(1.0, 0.9, 0.8, 0.7), candidate(1.0, 0.1, 0.0, 0.0), candidate(1.0, 0.05, -0.1, -0.2)):
        choice = select([BASE, other], 0.02, 0.05)
        assert choice.picked is BASE
        assert choice.sentence.startswith("Nothing new is published")


def test_among_equals_the_nearest_to_the_base_is_picked() -> None:
    frontier = [candidate(1.0, 0.9, 0.0, 0.0), candidate(0.5, 0.9, 0.01, 0.01), BASE]
    assert select(frontier, 0.02, 0.05).picked.alpha == 0.5


def test_where_there_is_nothing_old_the_gain_alone_decides() -> None:
    frontier = [Candidate(alpha, new=alpha, lost=Drop({}, 0.0), at_most=Drop({}, 0.0)) for alpha in ALPHAS]
    assert select(frontier, 0.0, 0.0).picked.alpha == 1


def test_the_whole_frontier_goes_into_the_metrics() -> None:
    lost, at_most = Drop({"colour": 0.4, "shape": -0.1}, 0.15), Drop({"colour": 0.45, "shape": 0.0}, 0.2)
    choice = select([BASE, Candidate(1.0, 0.9, lost, at_most)], 0.02, 0.05)
    metrics = choice.as_metrics()
    assert (metrics["alpha"], metrics["max_forgetting"], metrics["max_task_forgetting"]) == (0.0, 0.02, 0.05)
    assert metrics["sentence"] == choice.sentence
    assert metrics["frontier"][1] == {  # type: ignore[call-overload,index]
        "alpha": 1.0,
        "new": 0.9,
        "mean_drop": 0.15,
        "mean_drop_at_most": 0.2,
        "worst_drop": 0.4,
        "worst_drop_at_most": 0.45,
        "worst_task": "colour",
        "drop": {"colour": 0.4, "shape": -0.1},
        "drop_at_most": {"colour": 0.45, "shape": 0.0},
    }
