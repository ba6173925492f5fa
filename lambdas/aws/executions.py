"""Executions of one state machine, named by what they do, so that each is begun once; and the training jobs of one."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lambdas.aws.clients import Connect
from lambdas.aws.errors import botocore_errors_as_problems

STEP_MS = 120_000
"""What the slowest step of a worker may take that a state machine calls again: none begins with less time left. That is
a call of a service that never answers, which a worker is patient with, and the step's own work.
"""
BEGINS_WITHIN_S = 60
"""A request without an execution that is older was cut off, or ended so long ago that it is forgotten."""

_REFUSED = ("ValidationException", "ResourceNotFound")
"""SageMaker says so of a job that it does not know, and of one that has ended and can't be stopped."""


class Executions:
    """Those of one state machine. Every method raises ServiceUnavailable if Step Functions does not answer."""

    def __init__(self, machine_arn: str, connect: Connect) -> None:
        self._machine_arn = machine_arn
        self._connect = connect

    def start(self, name: str, given: dict[str, Any]) -> None:
        """Begin one, unless there is one of this name."""
        with botocore_errors_as_problems("Step Functions", ignored=("ExecutionAlreadyExists",)):
            self._connect("stepfunctions").start_execution(
                stateMachineArn=self._machine_arn, name=name, input=json.dumps(given)
            )

    def describe(self, name: str) -> dict[str, Any] | None:
        """DescribeExecution's answer, or None where there is none: never begun, or forgotten after 90 days."""
        with botocore_errors_as_problems("Step Functions", ignored=("ExecutionDoesNotExist",)):
            found: dict[str, Any] = self._connect("stepfunctions").describe_execution(executionArn=self._arn(name))
            return found
        return None

    def running(self, name: str) -> bool:
        """Whether one is at work."""
        found = self.describe(name)
        return found is not None and found["status"] == "RUNNING"

    def any_running(self) -> str | None:
        """The name of one that is at work, if any is."""
        with botocore_errors_as_problems("Step Functions"):
            found = self._connect("stepfunctions").list_executions(
                stateMachineArn=self._machine_arn, statusFilter="RUNNING", maxResults=1
            )["executions"]
            return str(found[0]["name"]) if found else None

    def stop(self, name: str, cause: str) -> None:
        """End one; nothing happens if it has ended."""
        with botocore_errors_as_problems("Step Functions", ignored=("ExecutionDoesNotExist", "ValidationException")):
            self._connect("stepfunctions").stop_execution(executionArn=self._arn(name), cause=cause)

    def _arn(self, name: str) -> str:
        return f"{self._machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


class TrainingJobs:
    """Those of SageMaker. Every method raises ServiceUnavailable if SageMaker does not answer."""

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


def may_begin(asked: str) -> bool:
    """Whether a request of that time, ISO 8601, is so new that its execution may be about to begin."""
    return (datetime.now(UTC) - datetime.fromisoformat(asked)).total_seconds() < BEGINS_WITHIN_S


def cause_of(error: Mapping[str, str]) -> str:
    """Why a state failed, in words, from what its Catch was given; a function's Cause is JSON with its message."""
    try:
        return str(json.loads(error["Cause"])["errorMessage"])
    except (ValueError, LookupError, TypeError):
        return error.get("Cause") or error.get("Error", "")
