"""How long a training takes, as the newest one that ended has shown."""

from datetime import UTC, datetime, timedelta
from typing import Any

from contract.hyperparameters import Hyperparameters
from contract.models import BASE
from contract.schedule import MIN_STEPS
from lambdas.aws.executions import TrainingJobs
from lambdas.aws.s3 import Store
from lambdas.manage.estimates import AROUND_THE_STEPS_S, Estimate, Estimates
from tests.lambdas.manage.conftest import Stage

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


def estimate(stage: Stage, asked: Hyperparameters | None = None, images: int = 640, base: Any = BASE) -> Estimate:
    estimates = Estimates(
        stage.settings, Store(stage.bucket.name, stage.connect), stage.registry, TrainingJobs(stage.connect)
    )
    return estimates.of(asked or Hyperparameters(epochs=100), images, base, base.artifact_s3_uri)


def ended(stage: Stage, version: str, images_per_s: float, took_s: float, status: str = "Completed") -> None:
    metrics = {"train:steps": float(MIN_STEPS), "train:images_per_s": images_per_s}
    stage.jobs.jobs[version] = {
        "TrainingJobStatus": status,
        "SecondaryStatus": status,
        "TrainingStartTime": BEGAN,
        "TrainingEndTime": BEGAN + timedelta(seconds=took_s),
        "FinalMetricDataList": [{"MetricName": name, "Value": value} for name, value in metrics.items()],
    }


def test_the_first_one_is_assumed_and_says_so(stage: Stage) -> None:
    found = estimate(stage)
    assert (found.steps, found.images_per_step) == (1000, 64)
    assert found.seconds == AROUND_THE_STEPS_S + 1000 * 64 / 10
    assert found.source.startswith("assumed: 10 images/s")


def test_the_next_one_goes_by_what_an_earlier_one_took(stage: Stage) -> None:
    view = stage.started()
    assert (view["images_per_step"], view["steps"]) == (8, MIN_STEPS)
    ended(stage, view["version"], images_per_s=24, took_s=60 + MIN_STEPS * 8 / 24)
    found = estimate(stage)
    assert found.seconds == round(60 + 1000 * 64 / 24)
    assert found.source == f"{view['id']} saw 24 images/s, and took 60 s before and after"


def test_one_that_failed_or_tells_no_figures_is_passed_over(stage: Stage) -> None:
    view = stage.started()
    ended(stage, view["version"], images_per_s=24, took_s=160, status="Failed")
    assert estimate(stage).source.startswith("assumed")
    ended(stage, view["version"], images_per_s=24, took_s=60 + MIN_STEPS * 8 / 24)
    del stage.jobs.jobs[view["version"]]["TrainingEndTime"]
    assert estimate(stage).source.startswith("assumed")


def test_the_projection_takes_far_less_and_auto_no_more_than_all_weights_and_finding_out(stage: Stage) -> None:
    found = {each: estimate(stage, Hyperparameters(strategy=each)) for each in ("full", "projection", "auto")}
    seconds = {each: one.seconds - AROUND_THE_STEPS_S for each, one in found.items()}
    assert (found["projection"].steps, found["projection"].images_per_step) == (300, 512)
    assert 0 < seconds["projection"] < seconds["full"] / 5
    assert seconds["full"] < seconds["auto"] < 1.2 * seconds["full"]


def test_one_that_learnt_less_than_all_weights_says_nothing_of_how_fast_these_learn(stage: Stage) -> None:
    view = stage.started(hyperparameters={"strategy": "projection"})
    ended(stage, view["version"], images_per_s=9000, took_s=60 + MIN_STEPS * 8 / 24)
    said = estimate(stage).source
    assert said.startswith("assumed") and said.endswith("trainings none has ended well here and was of all weights")


def test_to_a_base_that_learnt_from_the_world_old_images_are_shown_too(stage: Stage) -> None:
    assert estimate(stage, base=stage.trained(metrics={"replay_share": 0.5})).steps == 2000
    view = stage.started()
    ended(stage, view["version"], images_per_s=24, took_s=60 + MIN_STEPS * 8 / 24)
    stage.trained(version=view["version"], metrics={"replay_share": 0.5})
    assert estimate(stage).steps == 2000  # the base itself tells nothing, its descendant does


def test_the_price_is_of_the_time_that_is_allowed_at_most() -> None:
    found = Estimate(steps=1, images_per_step=1, seconds=7200, source="")
    assert (found.usd(0.5, 9000), found.usd(0.5, 3600), found.usd(0.0, 9000)) == (1.0, 0.5, None)
