"""The card of a checkpoint."""

import pytest

from contract.checkpoints import CheckpointMetadata
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


SCRATCH = {"data": "world", "init": "scratch", "steps": 5000}
ON_FROM_THERE = {"data": "world", "init": "base", "steps": 1200}


def test_the_recipe_goes_back_to_where_the_first_run_began() -> None:
    metrics = {"hyperparameters": ON_FROM_THERE, "base_recipes": [SCRATCH]}
    said = card(CheckpointMetadata(version="v", parent="first", metrics=dict(metrics)))
    first, second = "data=world init=scratch steps=5000", "data=world init=base steps=1200"
    assert f"python -m model.training {first}\npython -m model.training {second}\n" in said
    assert "trained from scratch on the rendered world" in said and "drawings of 64 px" in said


def test_what_a_checkpoint_from_elsewhere_has_seen_is_not_known() -> None:
    said = card(CheckpointMetadata(version="v", parent="elsewhere", metrics={"hyperparameters": dict(ON_FROM_THERE)}))
    assert "fine-tuned from `elsewhere`" in said and "Compare it with its parent" in said


def test_what_a_head_would_have_done_stands_beside_what_training_did() -> None:
    figures = {"accuracy": 0.94, "chance": 0.2, "images": 120}
    heads = {"weld": {"images": 480, "before": 0.82, "after": 0.97}}
    said = card(CheckpointMetadata(version="v", metrics={"new": {"weld": figures}, "new_heads": heads}))
    (row,) = [line for line in said.splitlines() if line.startswith("| weld") and "480" in line]
    assert "0.820" in row and "0.970" in row
