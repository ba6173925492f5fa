"""What a run tells of itself in its file: phases, time, curves."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from contract.gain import ALPHAS
from contract.progress import MAX_HISTORY_POINTS, HistoryPoint, TrainingProgress
from model.training.loop import Loop
from model.training.progress import ProgressFile, seconds_afterwards, thinned


def read(directory: Path) -> TrainingProgress:
    told = TrainingProgress.read((directory / "progress.json").read_bytes())
    assert told is not None
    return told


def asked(accuracy: float) -> dict[str, float]:
    return {"validation_loss": 1 - accuracy, "validation_accuracy": accuracy}


def test_a_run_that_is_started_again_goes_on_with_its_curves_and_forgets_what_it_lost(tmp_path: Path) -> None:
    first = ProgressFile(tmp_path)
    first.resume(0, 40, [{"step": 0, **asked(0.25)}])
    for step in (10, 20, 40):
        first.trained(step, 1 / step, left_s=0)
    again = ProgressFile(tmp_path)
    again.enter("reading")
    again.resume(20, 40, [{"step": 0, **asked(0.25)}, {"step": 20, **asked(0.5)}])
    again.enter("training")
    assert [(point.step, point.loss, point.accuracy) for point in read(tmp_path).history] == [
        (0, None, 0.25),
        (10, 0.1, None),
        (20, 0.05, 0.5),
    ]


def test_what_is_left_counts_the_phases_behind_the_present_one(tmp_path: Path) -> None:
    told = ProgressFile(tmp_path)
    told.resume(0, 10, [])
    told.afterwards = {"choosing": 60, "evaluating": 20}
    told.enter("reading")
    assert read(tmp_path).left_s is None
    told.enter("training")
    told.trained(10, 0.5, left_s=7)
    assert read(tmp_path).left_s == 87
    left = [read(tmp_path).left_s for _ in told.each("choosing", range(3))]
    assert left == [80, 80, 20]  # parts that take no time at all
    told.enter("evaluating")
    assert read(tmp_path).left_s == 20


def test_what_is_to_be_measured_is_estimated_by_the_first_validation(loop_of: Callable[..., Loop]) -> None:
    recipe = loop_of(selection_scenes=100, evaluation_scenes=200).recipe
    found = seconds_afterwards(recipe, images=50, validation_s=5000)
    assert found == pytest.approx({"choosing": len(ALPHAS) * 25_000, "evaluating": 3 * 45_000}, rel=0.05)
    world = recipe.model_copy(update={"data": "world"})
    assert seconds_afterwards(world, images=50, validation_s=5000)["choosing"] == 0


def test_a_loss_that_is_no_number_is_left_out_of_the_curve(tmp_path: Path) -> None:
    told = ProgressFile(tmp_path)
    told.resume(0, 1, [])
    told.trained(1, float("nan"), left_s=0)
    assert read(tmp_path).history == [HistoryPoint(step=1)]


def test_of_many_points_some_are_kept_that_are_spread_over_all_steps() -> None:
    points = [
        HistoryPoint(step=10 * step, loss=1.0, accuracy=0.5 if step % 50 == 0 else None) for step in range(10_001)
    ]
    kept = thinned(points)
    steps = [point.step for point in kept]
    assert len(kept) == MAX_HISTORY_POINTS and steps == sorted(steps) and (steps[0], steps[-1]) == (0, 100_000)
    asked_of = [point.step for point in kept if point.accuracy is not None]
    assert len(asked_of) == MAX_HISTORY_POINTS // 2
    assert max(after - before for before, after in pairwise(steps)) <= 2 * 100_000 / 100
    assert thinned(points[:150]) == points[:150]


def test_a_process_that_is_not_to_tell_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ProgressFile(None)
    told.enter("training")
    told.trained(1, 0.5, 1.0)
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().out == ""
