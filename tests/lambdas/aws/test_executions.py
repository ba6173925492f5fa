import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.limits import WORKER_MAX_ATTEMPTS, WORKER_READ_TIMEOUT_S
from contract.problems import ServiceUnavailable
from lambdas.aws.executions import BEGINS_WITHIN_S, STEP_MS, Executions, TrainingJobs, cause_of, may_begin
from tests.contract.test_limits import longest_call_s
from tests.lambdas.control_plane import StepFunctions, client_error
from tests.lambdas.control_plane import TrainingJobs as SageMaker


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"Error": "BadGateway", "Cause": json.dumps({"errorMessage": "no such model"})}, "no such model"),
        ({"Error": "Lambda.Unknown", "Cause": "the function was killed"}, "the function was killed"),
        ({"Error": "States.Runtime", "Cause": "[]"}, "[]"),
        ({"Error": "States.Timeout"}, "States.Timeout"),
    ],
)
def test_a_failed_state_is_told_of_in_words(error: dict[str, str], cause: str) -> None:
    assert cause_of(error) == cause


@pytest.fixture
def executions() -> Executions:
    stepfunctions = StepFunctions()
    return Executions("arn:aws:states:us-east-1:123456789012:stateMachine:imports", lambda service: stepfunctions)


def test_a_step_leaves_time_for_a_service_that_never_answers() -> None:
    assert 1000 * longest_call_s(WORKER_MAX_ATTEMPTS, WORKER_READ_TIMEOUT_S) < STEP_MS


def test_an_execution_is_begun_once_by_its_name(executions: Executions) -> None:
    executions.start("one", {"id": 1})
    executions.start("one", {"id": 2})
    found = executions.describe("one")
    assert found is not None and found["input"] == {"id": 1} and executions.running("one")


def test_one_that_was_stopped_or_never_begun_is_not_running(executions: Executions) -> None:
    assert executions.describe("one") is None and not executions.running("one")
    executions.start("one", {})
    executions.stop("one", "enough")
    assert not executions.running("one")


def test_a_request_may_begin_for_a_minute() -> None:
    assert may_begin(datetime.now(UTC).isoformat())
    assert not may_begin((datetime.now(UTC) - timedelta(seconds=BEGINS_WITHIN_S + 1)).isoformat())


def test_a_job_is_described_and_stopped_and_one_that_is_not_there_is_none() -> None:
    sagemaker = SageMaker()
    jobs = TrainingJobs(lambda service: sagemaker)
    assert jobs.describe("one") is None
    jobs.stop("one")
    sagemaker.jobs["one"] = {"TrainingJobStatus": "InProgress"}
    jobs.stop("one")
    assert jobs.describe("one") == {"TrainingJobStatus": "Stopping", "SecondaryStatus": "Stopping"}


def test_throttling_is_over_in_a_moment() -> None:
    class Throttled:
        def describe_training_job(self, **_: Any) -> Any:
            raise client_error("DescribeTrainingJob", "ThrottlingException", "Rate exceeded")

    with pytest.raises(ServiceUnavailable, match="SageMaker did not answer"):
        TrainingJobs(lambda service: Throttled()).describe("one")


def test_any_execution_that_is_at_work_is_found(executions: Executions) -> None:
    assert executions.any_running() is None
    executions.start("one", {})
    assert executions.any_running() == "one"
    executions.stop("one", "enough")
    assert executions.any_running() is None
