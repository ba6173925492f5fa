"""What passes the gate: improvements, luck, labels that mean nothing, and models that are only surer."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from contract.gain import ALPHAS, NO_GAIN_BELOW, UNRELATED_BELOW, chance_of_no_gain
from contract.metrics import WinLoss
from model.data.batch import Batch, Question
from model.evaluation.gain import Answered, evidence

IMAGES, LABELS = 30, 10
SCALE = 3.0
CASES = 30
HALF_RIGHT, MOST_RIGHT = 1.46, 2.09
"""How far the true label stands out of noise for an accuracy of .5 and of .7."""


def asked(labels: Tensor) -> Batch:
    names = tuple(f"label {number}" for number in range(LABELS))
    return Batch(tuple(range(len(labels))), names, one_hot(labels, LABELS).bool())


def cosines(labels: Tensor, noise: Tensor, generator: torch.Generator, signal: float) -> Tensor:
    """Of a model, of whose noise half is the images' own, for other models too."""
    own = torch.randn(noise.shape, generator=generator)
    return (noise + own) / 2**0.5 + signal * one_hot(labels, LABELS)


def judged(base: Tensor, tuned: Tensor, batch: Batch, alphas: Sequence[float]) -> tuple[bool, WinLoss]:
    """Whether the best mixture of the two passes, as training chooses it."""
    frontier = [Answered.of((1 - alpha) * base + alpha * tuned, SCALE, batch) for alpha in alphas]
    chosen = max(range(len(alphas)), key=lambda place: (float(frontier[place].right.mean()), place == 0, place))
    found = evidence(frontier, range(len(alphas)), chosen)
    assert found.images is not None and found.unrelated is not None
    assert found.mean is not None and found.deviation is not None and found.largest is not None
    better = chance_of_no_gain(found.images, found.mean, found.deviation, found.largest) < NO_GAIN_BELOW
    return chosen > 0 and better and found.unrelated < UNRELATED_BELOW, found


def passed(
    before: float, after: float, *, shuffled: bool = False, cases: int = CASES, alphas: Sequence[float] = ALPHAS
) -> float:
    """The share of simulated trainings that pass."""
    generator, count = torch.Generator().manual_seed(1), 0
    for _ in range(cases):
        labels = torch.arange(IMAGES) % LABELS
        noise = torch.randn(IMAGES, LABELS, generator=generator)
        base, tuned = (cosines(labels, noise, generator, signal) for signal in (before, after))
        if shuffled:
            labels = labels[torch.randperm(IMAGES, generator=generator)]
        count += judged(base, tuned, asked(labels), alphas)[0]
    return count / cases


def test_an_improvement_by_20_points_passes_with_30_images() -> None:
    right = torch.zeros(2)
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(20_000) % LABELS
    noise = torch.randn(len(labels), LABELS, generator=generator)
    for place, signal in enumerate((HALF_RIGHT, MOST_RIGHT)):
        right[place] = (cosines(labels, noise, generator, signal).argmax(dim=1) == labels).float().mean()
    assert right.tolist() == pytest.approx([0.5, 0.7], abs=0.02)
    assert passed(HALF_RIGHT, MOST_RIGHT) >= 0.8


@pytest.mark.slow
def test_shuffled_labels_pass_in_one_of_a_hundred_cases_at_most() -> None:
    assert passed(HALF_RIGHT, 2 * MOST_RIGHT, shuffled=True, cases=200) <= 0.01


def test_shuffled_labels_hardly_ever_pass() -> None:
    assert passed(0, 2 * MOST_RIGHT, shuffled=True) <= 0.04


def test_a_model_that_is_as_good_as_its_base_hardly_ever_passes() -> None:
    """Itself, that is: a mixture of two models with errors of their own is better than either."""
    assert passed(HALF_RIGHT, HALF_RIGHT, alphas=(0, 1)) <= 0.1


def one_case(signals: Sequence[float], images: int = 60) -> tuple[list[Tensor], Tensor]:
    generator, labels = torch.Generator().manual_seed(5), torch.arange(images) % LABELS
    noise = torch.randn(images, LABELS, generator=generator)
    return [cosines(labels, noise, generator, signal) for signal in signals], labels


def test_who_is_only_surer_or_more_careful_has_gained_nothing() -> None:
    (base,), labels = one_case([HALF_RIGHT])
    for factor in (0.3, 3.0):
        found = evidence([Answered.of(each, SCALE, asked(labels)) for each in (base, factor * base)], [1], chosen=1)
        assert found.mean == pytest.approx(0, abs=0.01) and (found.won, found.lost) == (0, 0)


def test_knowing_how_frequent_labels_are_is_no_gain() -> None:
    labels = torch.where(torch.arange(60) < 45, 0, torch.arange(60) % LABELS)
    guess = 0.01 * torch.nn.functional.one_hot(torch.ones(60, dtype=torch.long), LABELS)
    always = guess + torch.nn.functional.one_hot(torch.tensor(0), LABELS)
    found = evidence([Answered.of(each, SCALE, asked(labels)) for each in (guess, always)], [1], chosen=1)
    assert found.won is not None and found.won > 30
    assert found.mean == pytest.approx(0, abs=1e-3) and found.unrelated is not None and found.unrelated > 0.5


def test_an_image_is_judged_by_the_choice_of_the_others() -> None:
    """Of two mixtures each is right about one image alone: chosen by that image itself it would win."""
    true = torch.zeros(4, dtype=torch.long)
    base = torch.zeros(4, LABELS)
    base[:, 1] = 1
    one, other = base.clone(), base.clone()
    one[0, 0], other[1, 0] = 5, 5
    frontier = [Answered.of(each, SCALE, asked(true)) for each in (base, one, other)]
    assert evidence(frontier, [0, 1, 2], chosen=1).won == 1
    gains = evidence(frontier, [0, 1, 2], chosen=1)
    without_choice = evidence(frontier, [1], chosen=1)
    assert gains.mean is not None and without_choice.mean is not None
    assert gains.mean < without_choice.mean or gains.mean == 0


def test_of_mixtures_that_are_right_as_often_the_furthest_from_the_base_is_judged() -> None:
    """Two are right about the same images, and the second is surer of half of these."""
    (base, tuned), labels = one_case([0.0, 20.0])
    tuned[:6] = tuned[:6].roll(1, dims=1)
    less_sure = tuned.clone()
    less_sure[6::2] -= 15.0 * one_hot(labels, LABELS)[6::2]
    frontier = [Answered.of(each, SCALE, asked(labels)) for each in (base, less_sure, tuned)]
    assert frontier[1].right.tolist() == frontier[2].right.tolist() == [0] * 6 + [1] * 54
    assert evidence(frontier, [0, 1, 2], chosen=2) == evidence(frontier, [2], chosen=2)
    assert evidence(frontier, [1, 2], chosen=2) == evidence(frontier, [2], chosen=2)


def test_where_the_base_is_right_as_often_it_is_judged_itself() -> None:
    (base, tuned), labels = one_case([20.0, 40.0])
    frontier = [Answered.of(each, SCALE, asked(labels)) for each in (base, tuned)]
    assert frontier[0].right.all() and frontier[1].right.all()
    assert evidence(frontier, [0, 1], chosen=0).largest == 0


def test_an_image_without_a_question_is_no_gain_and_each_question_is_compared_by_itself() -> None:
    (base, tuned), labels = one_case([0.0, 6.0])
    both = torch.cat([base, tuned], dim=1)
    batch = Batch(
        asked(labels).rows,
        tuple(map(str, range(2 * LABELS))),
        asked(labels).positives.repeat(1, 2),
        questions=(Question("a", tuple(range(40)), tuple(range(LABELS))), Question("b", (50,), (0,), decides=False)),
    )
    swapped = both.roll(LABELS, dims=1)
    found = evidence([Answered.of(each, SCALE, batch) for each in (both, swapped)], [1], chosen=1)
    assert found.mean is not None and found.images == 60
    all_images = evidence([Answered.of(each, SCALE, asked(labels)) for each in (base, tuned)], [1], chosen=1)
    assert all_images.mean is not None and found.mean == pytest.approx(all_images.mean * 40 / 60, rel=0.1)
