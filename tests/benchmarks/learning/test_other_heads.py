"""What others do with frozen embeddings and a few labelled images."""

import pytest
import torch
from torch.nn.functional import one_hot

from benchmarks.learning.other_heads import RIDGES, gaussians, logistic, nearest_mean, ridge, tip_adapter
from benchmarks.learning.teach import METHODS
from tests.model.evaluation.test_teaching import LABELS, SCALE, a_set


def accuracy(name: str, each: int, misled: float) -> float:
    found = a_set(each, misled)
    method = METHODS[name]
    told = method(found.train.embeds, found.train.targets, found.texts, SCALE, found.test.embeds)
    assert told.shape == (len(found.test.targets), LABELS) and told.isfinite().all()
    return float((told.argmax(dim=1) == found.test.targets).float().mean())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns_by_eight_images_what_words_know_half(name: str) -> None:
    assert accuracy(name, 8, misled=0.5) > 0.9


@pytest.mark.parametrize("name", METHODS)
def test_every_method_answers_by_one_image_of_each_label(name: str) -> None:
    assert accuracy(name, 1, misled=0.3) > 0.6


@pytest.mark.parametrize("name", [name for name in METHODS if name != "GDA"])
def test_all_but_one_learn_what_words_get_wrong(name: str) -> None:
    assert accuracy(name, 8, misled=1.0) > 0.9


def test_the_ridge_has_the_least_squared_error_of_images_left_out() -> None:
    found = a_set(6, misled=0.5)
    images, goals = found.train.embeds.double(), one_hot(found.train.targets, LABELS).double()

    def fitted(rows: torch.Tensor, strength: float, asked: torch.Tensor) -> torch.Tensor:
        centre, level = images[rows].mean(dim=0), goals[rows].mean(dim=0)
        apart = images[rows] - centre
        held = apart.T @ apart + strength * torch.eye(images.shape[1]).double()
        return (asked - centre) @ torch.linalg.solve(held, apart.T @ (goals[rows] - level)) + level

    every = torch.arange(len(images))
    errors = [
        sum(float((goals[row] - fitted(every[every != row], strength, images[row])).square().sum()) for row in every)
        for strength in RIDGES
    ]
    best = RIDGES[errors.index(min(errors))]
    told = ridge(found.train.embeds, found.train.targets, found.texts, SCALE, found.test.embeds)
    assert torch.allclose(told, fitted(every, best, found.test.embeds.double()).float(), atol=1e-4)


def test_words_are_a_part_of_all_that_say_so_and_of_no_other() -> None:
    found = a_set(4, misled=0.2)
    given = found.train.embeds, found.train.targets
    turned = found.texts.flip(0)
    for method, has_words in (
        (nearest_mean, False),
        (ridge, False),
        (tip_adapter, True),
        (gaussians, True),
        (logistic, True),
    ):
        once, again = (method(*given, texts, SCALE, found.test.embeds) for texts in (found.texts, turned))
        assert torch.equal(once, again) != has_words
