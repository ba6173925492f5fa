"""The card of a checkpoint."""

import pytest

from model.checkpoint import CheckpointMetadata
from model.training.card import card


@pytest.mark.parametrize(
    ("data", "init", "limit"),
    [
        ("world", "scratch", "drawings of 64 px"),
        ("channel", "scratch", "images and words of its train channel only"),
        ("channel", "base", "Compare it with its parent"),
        ("world", "base", "Compare it with its parent"),
    ],
)
def test_the_limits_are_those_of_what_was_trained_on(data: str, init: str, limit: str) -> None:
    recipe = {"hyperparameters": {"data": data, "init": init}}
    _, limits = card(CheckpointMetadata(version="v", metrics=dict(recipe))).split("## Limits")
    limits, _ = limits.split("## Recipe")
    others = {"drawings of 64 px", "its train channel only", "its parent"}
    assert limit in limits and sum(other in limits for other in others) == 1
