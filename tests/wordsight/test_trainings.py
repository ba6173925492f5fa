from typing import Any

import pytest

from contract.models import Gate, Model
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
    assert "starting" in shell("trainings", training["id"]).out


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


def told(**changes: Any) -> dict[str, Any]:
    """What the line is made of."""
    training = {"state": "training", "status": "Training", "phase": "training", "step": 50, "steps": 100}
    return {**training, "metrics": {"train:loss": 0.25}, "left_s": 80, "history": [], **changes}


def asked(*accuracies: float) -> list[dict[str, Any]]:
    return [{"step": 10 * number, "accuracy": accuracy} for number, accuracy in enumerate(accuracies)]


def test_the_line_has_a_bar_while_steps_are_made_with_accuracy_and_time_left() -> None:
    bar = "█" * 15 + "░" * 15 + " 50/100 training"
    assert line(told()) == f"{bar}  loss 0.25  1:20 left"
    assert line(told(history=asked(0.333))) == f"{bar}  accuracy 33 %  1:20 left"
    curves = [*asked(0.333, 0.8, 0.941), {"step": 40, "accuracy": None}]
    assert line(told(history=curves)) == f"{bar}  accuracy 33 → 94 %  1:20 left"
    assert len(line(told(step=50_000, steps=100_000, history=asked(0.999, 0.9), left_s=36_000))) < 100


def test_the_silent_phases_have_names() -> None:
    silent = told(history=asked(0.33, 0.94), left_s=3605)
    assert line({**silent, "phase": "choosing"}) == "choosing the mixture  accuracy 33 → 94 %  1:00:05 left"
    assert line({**silent, "phase": "evaluating", "left_s": None}) == "evaluating  accuracy 33 → 94 %"
    waiting = told(status="Downloading", phase="starting", step=None, steps=None, metrics={}, left_s=None)
    assert line(waiting) == "starting (Downloading)"
    assert line({**waiting, "state": "promoting", "phase": None, "status": "Completed"}) == "promoting"


def test_what_was_watched_ends_with_the_verdict_in_a_sentence(shell: Shell, system: System, dataset: str) -> None:
    metrics = {
        **{"before": {"validation_accuracy": 0.33}, "after": {"validation_accuracy": 0.94}},
        "gain": {"images": 120, "won": 75, "lost": 2},
    }
    learnt = "it gets 94 % of 120 validation images right, and its base 33 % (75 won, 2 lost)."
    for gate in (Gate(passed=True), Gate(passed=False, reasons=["it forgot"])):
        training = begun(shell, dataset)
        model = Model(
            version=training["version"], artifact_s3_uri="s3://b/models/x/", created="", source="training", gate=gate
        )
        system.registry.add(model.model_copy(update={"metrics": metrics}))
        ran = shell("trainings", training["id"], "--watch")
        if gate.passed:
            assert ran.status == 0 and ran.out.splitlines()[-1] == f"It may go live: {learnt}"
        else:
            refused = f"the training {training['id']} is refused: It may not go live: it forgot. I{learnt[1:]}"
            assert ran.status == 1 and ran.err.splitlines()[-1] == refused and "it forgot" not in ran.out


def test_a_dry_run_is_a_table_and_starts_nothing(shell: Shell, system: System, dataset: str) -> None:
    ran = shell("train", "--dataset", dataset, "--dry-run")
    assert ran.status == 0 and system.stepfunctions.executions == {}
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["IMAGES", "TRAIN", "VALIDATION"] in rows and ["pore", "4", "5"] in rows and ["all", "8", "10"] in rows
    assert "10 validation images can tell, 5 are needed" in ran.out and "0.15 USD, at most 1.00" in ran.out
    assert shell("train", "--dataset", dataset, "--dry-run", "--json").json["starts"] is True


def test_a_reference_set_is_counted_before_and_sent_along(shell: Shell, system: System, dataset: str) -> None:
    for number in range(30):
        system.bucket.put_object(Key=f"collections/{number}.jpg", Body=b"")
    told = ("train", "--dataset", dataset, "--reference", "collections/")
    assert "30 images to keep its answers on" in shell(*told, "--dry-run").out
    assert shell(*told, "--json").json["reference_s3_prefix"] == "collections/"
    (begun,) = system.stepfunctions.executions.values()
    assert [each["ChannelName"] for each in begun["input"]["job_request"]["InputDataConfig"]] == ["train", "reference"]


def test_a_dry_run_of_what_would_be_refused_says_why_and_is_no_success(shell: Shell, system: System) -> None:
    annotated(system.bucket, "welds", train_crack=9, train_pore=4, validation_crack=2)
    ran = shell("train", "--dataset", "welds", "--dry-run")
    assert ran.status == 1 and "needs 7 more" in ran.err and "warning: " in ran.out
    assert "needs 7 more" in shell("train", "--dataset", "welds").err
    begun = shell("train", "--dataset", "welds", "--force")
    assert begun.status == 0 and "needs 7 more" in begun.out and "600 steps" in begun.out
