import pytest

from contract.hyperparameters import Hyperparameters
from contract.schedule import (
    KEPT_IMAGES,
    MIN_STEPS,
    PROJECTION_STEPS,
    PROJECTION_VIEWS,
    REFERENCE_SHARE,
    REFERENCE_SHARE_BESIDE_REPLAY,
    REPLAY_SHARE,
    images_learnt,
    images_per_epoch,
    images_per_step,
    reference_share,
    replay_share,
    steps,
)


def test_a_small_run_has_the_fewest_steps_and_a_large_one_its_epochs() -> None:
    asked = Hyperparameters(epochs=5)
    assert steps(asked, 100, 64) == MIN_STEPS
    assert steps(asked, 64_000, 64) == 5 * 1000
    assert steps(Hyperparameters(steps=7), 64_000, 64) == 7


def test_a_step_has_no_more_images_than_there_are_for_each_process() -> None:
    assert images_per_step(Hyperparameters(), 1000, 2) == 128
    assert images_per_step(Hyperparameters(), 40, 2) == 40
    assert images_per_step(Hyperparameters(), 1, 1) == 2


@pytest.mark.parametrize(
    ("asked", "seen_world", "share"),
    [
        ({}, False, 0.0),
        ({}, True, REPLAY_SHARE),
        ({"replay_share": 0.25}, False, 0.25),
        ({"init": "scratch"}, True, 0.0),
        ({"data": "world"}, True, 0.0),
    ],
)
def test_what_is_replayed_depends_on_the_base_unless_it_was_said(
    asked: dict[str, object], seen_world: bool, share: float
) -> None:
    assert replay_share(Hyperparameters(**asked), seen_world) == share


def test_an_epoch_grows_by_what_is_replayed() -> None:
    assert (images_per_epoch(100, 0.0), images_per_epoch(100, 0.5), images_per_epoch(100, 0.75)) == (100, 200, 400)


@pytest.mark.parametrize(
    ("asked", "has_reference", "replayed", "share"),
    [
        ({}, False, 0.0, 0.0),
        ({"reference_share": 0.3}, False, 0.0, 0.0),
        ({}, True, 0.0, REFERENCE_SHARE),
        ({}, True, REPLAY_SHARE, REFERENCE_SHARE_BESIDE_REPLAY),
        ({"reference_share": 0.3}, True, REPLAY_SHARE, 0.3),
        ({"reference_share": 0}, True, 0.0, 0.0),
        ({"data": "world"}, True, 0.0, 0.0),
    ],
)
def test_a_reference_set_has_its_share_of_a_batch_where_there_is_one(
    asked: dict[str, object], has_reference: bool, replayed: float, share: float
) -> None:
    assert reference_share(Hyperparameters(**asked), has_reference, replayed) == share


def test_the_projection_has_large_steps_of_which_only_the_first_cost_something() -> None:
    asked = Hyperparameters(strategy="projection")
    assert steps(asked, 64_000, 512) == PROJECTION_STEPS
    assert images_per_step(asked, 64_000, 4) == 512 and images_per_step(asked, 160, 4) == 160
    read = 3 * images_learnt(asked, 160, 160, PROJECTION_STEPS)
    assert read == pytest.approx(PROJECTION_VIEWS * 160 + KEPT_IMAGES)
    assert images_learnt(asked, 10**6, 512, PROJECTION_STEPS) < PROJECTION_STEPS * 512


def test_what_auto_may_cost_is_all_weights_and_finding_out() -> None:
    full, auto = (images_learnt(Hyperparameters(strategy=each), 160, 64, 300) for each in ("full", "auto"))
    assert full == 300 * 64 and full < auto < 1.1 * full
