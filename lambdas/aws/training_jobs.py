"""SageMaker's training jobs, as far as they are looked at and stopped here; the state machine creates them."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from lambdas.aws.clients import Connect
from lambdas.aws.errors import silence_in_words


class TrainingJobs:
    """The account's jobs. Every method raises ServiceUnavailable if SageMaker is silent."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def describe(self, name: str) -> dict[str, Any] | None:
        """DescribeTrainingJob's answer, or None where there is none yet."""
        with silence_in_words("SageMaker"):
            try:
                found: dict[str, Any] = self._connect("sagemaker").describe_training_job(TrainingJobName=name)
            except ClientError as error:
                if _refused(error):
                    return None
                raise
            return found

    def stop(self, name: str) -> None:
        """Ask the program to save its state and end; nothing happens if it has ended, or never began."""
        with silence_in_words("SageMaker"):
            try:
                self._connect("sagemaker").stop_training_job(TrainingJobName=name)
            except ClientError as error:
                if not _refused(error):
                    raise


def _refused(error: ClientError) -> bool:
    """SageMaker says so of a job that it does not know, and of one that has ended and can't be stopped."""
    return error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound")
