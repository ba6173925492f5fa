"""The way of a training that the API accepted: snapshot, job, gate, promotion."""

import json
from typing import Any

import pytest

from lambdas.manage.trainings import job_request
from tests.stacks.conftest import Assembly
from tests.stacks.machines import Machine, ending, failure
from tests.stacks.training.test_job import EXECUTION_NAME, TRAINING

GIVEN = {"training": TRAINING.model_dump(mode="json"), "job_request": job_request(TRAINING, "data", 7200)}
JOB = {
    "TrainingJobName": TRAINING.version,
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://artifacts/models/one/output/model"},
}
PASSED = {"model": TRAINING.version, "gate": {"passed": True}, "promotion": None}


def walk(dev: Assembly, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> tuple[Machine, dict[str, Any]]:
    """The machine, whose tasks answer with these, and what each of them is sent, in order."""
    sent: dict[str, Any] = {}

    def task(state: str, request: Any) -> Any:
        sent[state] = request
        answer = {"Snapshot": {"records": 4}, "TrainingJob": JOB, "Gate": PASSED, "Promote": {}, **answers}[state]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Machine(dev.training, "StateMachine", task, monkeypatch), sent


def test_a_training_is_written_down_run_and_judged(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, sent = walk(dev, monkeypatch)
    assert machine.run(GIVEN, EXECUTION_NAME) == PASSED
    assert list(sent) == ["Snapshot", "TrainingJob", "Gate"]
    assert sent["Snapshot"] == {"training": GIVEN["training"]}
    assert sent["TrainingJob"]["TrainingJobName"] == TRAINING.version
    assert sent["TrainingJob"]["InputDataConfig"] == GIVEN["job_request"]["InputDataConfig"]
    assert sent["Gate"] == {"training": GIVEN["training"], "job": JOB}


def test_a_model_that_is_to_go_live_is_promoted_by_the_machine_for_that(
    dev: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = {**PASSED, "promotion": TRAINING.id}
    machine, sent = walk(dev, monkeypatch, Gate=verdict)
    assert machine.run(GIVEN) == verdict
    assert sent["Promote"]["Name"] == TRAINING.id
    assert sent["Promote"]["Input"] == {"promotion": TRAINING.id}
    assert sent["Promote"]["StateMachineArn"].startswith("${RolloutMachine")
    assert machine.resources["Promote"].endswith(":states:::states:startExecution")


def test_a_refused_model_is_a_result_and_no_failure(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = {**PASSED, "gate": {"passed": False, "reasons": ["it is not better"]}}
    machine, sent = walk(dev, monkeypatch, Gate=verdict)
    assert machine.run(GIVEN) == verdict and "Promote" not in sent


@pytest.mark.parametrize("state", ["Snapshot", "Gate"])
def test_what_a_function_says_is_the_cause(dev: Assembly, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    raised = json.dumps({"errorMessage": "the dataset 'welds' has 1 images", "errorType": "BadRequest"})
    machine, sent = walk(dev, monkeypatch, **{state: failure("BadRequest", raised)})
    assert ending(machine, GIVEN) == ("BadRequest", "the dataset 'welds' has 1 images")
    assert list(sent)[-1] == state
    machine, _ = walk(dev, monkeypatch, **{state: failure("Lambda.Unknown", "it died")})
    assert ending(machine, GIVEN) == ("Lambda.Unknown", "it died")


def test_a_job_that_fails_is_not_judged(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {**JOB, "TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: no images"}
    machine, sent = walk(dev, monkeypatch, TrainingJob=failure("States.TaskFailed", json.dumps(failed)))
    error, cause = ending(machine, GIVEN)
    assert error == "Wordsight.TrainingFailed" and cause.endswith("AlgorithmError: no images")
    assert "Gate" not in sent


def test_an_execution_by_hand_is_the_job_alone(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, sent = walk(dev, monkeypatch)
    for prefix in ("snapshots", "annotations"):
        given = {"dataset_s3_uri": f"{_root(machine)}/{prefix}/first/"}
        assert machine.run(given) == {
            "training_job_name": TRAINING.version,
            "artifact_s3_uri": "s3://artifacts/models/one/output/model/",
        }
    assert list(sent) == ["TrainingJob"]
    assert sent["TrainingJob"]["HyperParameters"] == {}
    assert sent["TrainingJob"]["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200}


def _root(machine: Machine) -> str:
    """The data bucket, as the machine's own sentence names it."""
    cause: str = machine.states["NoDataset"]["Cause"]
    return cause.partition("give an S3 prefix under ")[2].partition("/annotations/")[0]
