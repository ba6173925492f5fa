from typing import Any

import pytest

from tests.lambdas.manage.conftest import annotated
from tests.wordsight.conftest import Shell, System
from wordsight.trainings import line


@pytest.fixture
def dataset(system: System) -> str:
    annotated(system.bucket, "welds")
    return "welds"


def begun(shell: Shell, dataset: str, *more: object) -> Any:
    return shell("train", "--dataset", dataset, "--json", *more).json


def test_a_training_is_started_with_what_was_said(shell: Shell, dataset: str) -> None:
    training = begun(shell, dataset, "--set", "epochs=5", "--promote", "auto", "--max-runtime-s", 900, "--spot")
    assert training["hyperparameters"] == {"epochs": "5"}
    assert (training["promote"], training["max_runtime_s"], training["spot"]) == ("auto", 900, True)
    assert training["id"] in shell("trainings").out
    assert "snapshot" in shell("trainings", training["id"]).out


def test_one_that_was_stopped_is_no_success(shell: Shell, dataset: str) -> None:
    id = begun(shell, dataset)["id"]
    assert shell("trainings", id, "--stop").status == 0
    ran = shell("trainings", id, "--watch")
    assert ran.status == 1 and f"the training {id} is stopped" in ran.err
    assert "ended already" in shell("trainings", id, "--stop").err


def test_what_the_api_refuses_and_what_makes_no_sense_is_said(shell: Shell, dataset: str) -> None:
    assert "'absent' has no annotations" in shell("train", "--dataset", "absent").err
    assert "give its id" in shell("trainings", "--stop").err
    with pytest.raises(SystemExit):
        shell("train", "--set", "epochs")


def test_the_line_has_a_bar_and_the_newest_metrics() -> None:
    training = {"state": "training", "status": "Training", "step": 50, "steps": 100, "metrics": {"train:loss": 0.25}}
    assert line(training) == "█" * 15 + "░" * 15 + " 50/100 training  loss 0.25"
    waiting = {"state": "training", "status": "Downloading", "step": None, "steps": None, "metrics": {}}
    assert line(waiting) == "training (Downloading)"


def test_a_dry_run_is_a_table_and_starts_nothing(shell: Shell, system: System, dataset: str) -> None:
    ran = shell("train", "--dataset", dataset, "--dry-run")
    assert ran.status == 0 and system.stepfunctions.executions == {}
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["IMAGES", "TRAIN", "VALIDATION"] in rows and ["pore", "4", "5"] in rows and ["all", "8", "10"] in rows
    assert "10 validation images can tell, 5 are needed" in ran.out and "0.12 USD, at most 1.00" in ran.out
    assert shell("train", "--dataset", dataset, "--dry-run", "--json").json["starts"] is True


def test_a_dry_run_of_what_would_be_refused_says_why_and_is_no_success(shell: Shell, system: System) -> None:
    annotated(system.bucket, "welds", train_crack=9, train_pore=4, validation_crack=2)
    ran = shell("train", "--dataset", "welds", "--dry-run")
    assert ran.status == 1 and "needs 7 more" in ran.err and "warning: " in ran.out
    assert "needs 7 more" in shell("train", "--dataset", "welds").err
    begun = shell("train", "--dataset", "welds", "--force")
    assert begun.status == 0 and "needs 7 more" in begun.out and "300 steps" in begun.out
