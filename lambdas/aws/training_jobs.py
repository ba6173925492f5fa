"""SageMaker's training jobs, as far as they are looked at and stopped here; the state machine creates them."""

from typing import Any

from lambdas.aws.clients import Connect
from lambdas.aws.errors import botocore_errors_as_problems

_REFUSED = ("ValidationException", "ResourceNotFound")
"""SageMaker says so of a job that it does not know, and of one that has ended and can't be stopped."""


class TrainingJobs:
    """The account's jobs. Every method raises ServiceUnavailable if SageMaker does not answer."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def describe(self, name: str) -> dict[str, Any] | None:
        """DescribeTrainingJob's answer, or None where there is none yet."""
        with botocore_errors_as_problems("SageMaker", ignored=_REFUSED):
            found: dict[str, Any] = self._connect("sagemaker").describe_training_job(TrainingJobName=name)
            return found
        return None

    def stop(self, name: str) -> None:
        """Ask the program to save its state and end; nothing happens if it has ended, or never began."""
        with botocore_errors_as_problems("SageMaker", ignored=_REFUSED):
            self._connect("sagemaker").stop_training_job(TrainingJobName=name)
