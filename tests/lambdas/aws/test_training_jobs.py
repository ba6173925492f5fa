from typing import Any

import pytest

from contract.problems import ServiceUnavailable
from lambdas.aws.training_jobs import TrainingJobs
from tests.lambdas.control_plane import TrainingJobs as SageMaker
from tests.lambdas.control_plane import client_error


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
