"""A checkpoint's metrics as its readers see them."""

from typing import Any

import pytest
from pydantic import JsonValue

from contract.metrics import Change, FrontierPoint, Interpolation, Metrics, TaskFigures, Validation, WinLoss

SCRATCH: dict[str, JsonValue] = {"data": "world", "init": "scratch", "steps": 5000}
ON_FROM_THERE: dict[str, JsonValue] = {"data": "world", "init": "base", "steps": 1200}


@pytest.mark.parametrize("found", [{}, {"interpolation": [], "gain": 3, "world": "x", "step": "many"}])
def test_what_is_missing_or_of_another_type_is_none(found: dict[str, Any]) -> None:
    metrics = Metrics.of(found)
    assert (metrics.world, metrics.step) == (None, None)
    assert (metrics.interpolation or Interpolation()) == Interpolation()
    assert (metrics.gain or WinLoss()).won is None


def test_a_figure_that_cannot_be_read_takes_no_other_with_it() -> None:
    interpolation = {"alpha": "most", "max_forgetting": 0.02, "frontier": [{"alpha": 0, "drop": {"shape": 0.0}}, 3]}
    world = {"shape": {"accuracy": 0.5, "chance": None}, "colour": 0.9}
    metrics = Metrics.of({"interpolation": interpolation, "world": world})
    assert metrics.interpolation is not None and metrics.interpolation.frontier is not None
    assert (metrics.interpolation.alpha, metrics.interpolation.max_forgetting) == (None, 0.02)
    assert [point.drop for point in metrics.interpolation.frontier] == [{"shape": 0.0}, None]
    assert metrics.world is not None
    assert {name: figures.accuracy for name, figures in metrics.world.items()} == {"shape": 0.5, "colour": None}


def test_what_was_not_measured_is_not_written_and_what_is_none_is() -> None:
    point = FrontierPoint(alpha=0.0, new=0.5, worst_task=None)
    metrics = Metrics(step=7, interpolation=Interpolation(frontier=[point]))
    metrics.world_change = {"shape": Change(estimate=0.1, low=0.0, high=0.2)}
    metrics.before = Validation(validation_loss=0.5)
    written = {
        "step": 7,
        "before": {"validation_loss": 0.5},
        "world_change": {"shape": {"estimate": 0.1, "low": 0.0, "high": 0.2}},
        "interpolation": {"frontier": [{"alpha": 0.0, "new": 0.5, "worst_task": None}]},
    }
    assert metrics.to_json() == written and list(metrics.to_json()) == list(written)
    assert Metrics.of(written) == metrics


def test_figures_that_a_later_version_adds_do_not_disturb() -> None:
    assert Metrics.of({"world": {"shape": {"accuracy": 0.5, "beauty": 1}}}).world == {
        "shape": TaskFigures(accuracy=0.5)
    }


def test_the_recipes_go_back_to_where_the_first_run_began() -> None:
    assert Metrics.of({"hyperparameters": ON_FROM_THERE, "base_recipes": [SCRATCH]}).recipes == [SCRATCH, ON_FROM_THERE]
    given = {"hyperparameters": ON_FROM_THERE, "given_hyperparameters": {"data": "world"}}
    assert Metrics.of(given).recipes == [{"data": "world"}]
    assert Metrics().recipes == []


@pytest.mark.parametrize(
    ("found", "learnt"),
    [
        ({}, False),
        ({"hyperparameters": {"data": "channel"}}, False),
        ({"hyperparameters": {"data": "world"}}, True),
        ({"hyperparameters": {"data": "channel"}, "replay_share": 0.5}, True),
        ({"hyperparameters": {"data": "channel"}, "replay_share": 0.0}, False),
        ({"hyperparameters": [], "replay_share": "half"}, False),
    ],
)
def test_a_checkpoint_learnt_from_the_world_if_that_was_its_data_or_was_replayed(
    found: dict[str, JsonValue], learnt: bool
) -> None:
    assert Metrics.of(found).learnt_from_world is learnt
