"""The services that say what is deployed and what runs, as far as the functions ask them: small and hand-written.

Every request is checked against botocore's model of the service, so that a misspelt parameter fails here as on AWS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

SERVING_STACK = "WordsightServing-test"
NO_MODEL_URI = "s3://none/"


def client_error(operation: str, code: str, message: str, status: int = 400) -> ClientError:
    members: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(members, operation)


@cache
def service_model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def check(service: str, operation: str, request: dict[str, Any]) -> None:
    report = ParamValidator().validate(request, service_model(service).operation_model(operation).input_shape)
    assert not report.has_errors(), report.generate_report()


class CloudFormation:
    """One stack. An update takes `polls` looks until it is over; it fails for the values of parameters in `broken`."""

    def __init__(self, polls: int = 1) -> None:
        self.model_uri, self.paused, self.status = NO_MODEL_URI, "no", "CREATE_COMPLETE"
        self.changed = datetime.now(UTC) - timedelta(days=1)
        self.polls = polls
        self.broken: dict[str, str] = {}
        self.updates: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self._wanted: dict[str, str] = {}
        self._left = 0

    def describe_stacks(self, **request: Any) -> dict[str, Any]:
        check("cloudformation", "DescribeStacks", request)
        self._go_on()
        stack = {
            "StackName": SERVING_STACK,
            "StackStatus": self.status,
            "CreationTime": self.changed,
            "Capabilities": ["CAPABILITY_IAM"],
            "Parameters": [
                {"ParameterKey": "ModelUri", "ParameterValue": self.model_uri},
                {"ParameterKey": "Paused", "ParameterValue": self.paused},
                {"ParameterKey": "Other", "ParameterValue": "kept"},
            ],
        }
        return {"Stacks": [stack]}

    def update_stack(self, **request: Any) -> dict[str, Any]:
        check("cloudformation", "UpdateStack", request)
        if self.status.endswith("_IN_PROGRESS"):
            message = f"Stack:{SERVING_STACK} is in {self.status} state and can not be updated."
            raise client_error("UpdateStack", "ValidationError", message)
        given = {each["ParameterKey"]: each for each in request["Parameters"]}
        has = {"ModelUri": self.model_uri, "Paused": self.paused}
        wanted = {key: given[key].get("ParameterValue", value) for key, value in has.items()}
        if wanted == has:
            raise client_error("UpdateStack", "ValidationError", "No updates are to be performed.")
        self.updates.append(request)
        self._wanted, self._left, self.status = wanted, self.polls, "UPDATE_IN_PROGRESS"
        self._happened(SERVING_STACK, "UPDATE_IN_PROGRESS", "User Initiated")
        return {"StackId": "stack-id"}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "describe_stack_events"
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        check("cloudformation", "DescribeStackEvents", request)
        yield {"StackEvents": self.events[::-1]}

    def _happened(self, id: str, status: str, reason: str = "") -> None:
        self.events.append({"LogicalResourceId": id, "ResourceStatus": status, "ResourceStatusReason": reason})

    def _go_on(self) -> None:
        if self.status != "UPDATE_IN_PROGRESS":
            return
        self._left -= 1
        if self._left >= 0:
            return
        if reason := next(filter(None, map(self.broken.get, self._wanted.values())), None):
            self._happened("Endpoint", "UPDATE_FAILED", reason)
            self._happened("LogRetention", "UPDATE_FAILED", "Resource update cancelled")
            self.status = "UPDATE_ROLLBACK_COMPLETE"
        else:
            self.model_uri, self.paused = self._wanted["ModelUri"], self._wanted["Paused"]
            self.status = "UPDATE_COMPLETE"
        self._happened(SERVING_STACK, self.status)


class StepFunctions:
    """Executions by their ARN, which run until a test says otherwise."""

    def __init__(self) -> None:
        self.executions: dict[str, dict[str, Any]] = {}

    def start_execution(self, **request: Any) -> dict[str, Any]:
        check("stepfunctions", "StartExecution", request)
        arn = f"{request['stateMachineArn'].replace(':stateMachine:', ':execution:')}:{request['name']}"
        if arn in self.executions:
            raise client_error("StartExecution", "ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
        self.executions[arn] = {"status": "RUNNING", "input": json.loads(request["input"]), "arn": arn}
        return {"executionArn": arn}

    def describe_execution(self, **request: Any) -> dict[str, Any]:
        check("stepfunctions", "DescribeExecution", request)
        if request["executionArn"] not in self.executions:
            raise client_error("DescribeExecution", "ExecutionDoesNotExist", "Execution Does Not Exist")
        return self.executions[request["executionArn"]]

    def list_executions(self, **request: Any) -> dict[str, Any]:
        check("stepfunctions", "ListExecutions", request)
        prefix = f"{request['stateMachineArn'].replace(':stateMachine:', ':execution:')}:"
        named = {arn.removeprefix(prefix): each for arn, each in self.executions.items() if arn.startswith(prefix)}
        running = [{"name": name} for name, each in named.items() if each["status"] == request["statusFilter"]]
        return {"executions": running[: request["maxResults"]]}

    def stop_execution(self, **request: Any) -> dict[str, Any]:
        check("stepfunctions", "StopExecution", request)
        self.executions[request["executionArn"]].update(status="ABORTED", cause=request["cause"])
        return {}


class Functions:
    """Lambda, whose one function does `work` as soon as it is told to begin. `begun` has the events."""

    def __init__(self, work: Callable[[dict[str, Any]], None] = lambda event: None) -> None:
        self.work = work
        self.begun: list[dict[str, Any]] = []
        self.silent = False

    def invoke(self, **request: Any) -> dict[str, Any]:
        check("lambda", "Invoke", request)
        assert request["InvocationType"] == "Event"
        if self.silent:
            raise client_error("Invoke", "ServiceException", "an internal error", 500)
        self.begun.append(json.loads(request["Payload"]))
        self.work(self.begun[-1])
        return {"StatusCode": 202}


class TrainingJobs:
    """SageMaker's jobs by their names."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}

    def describe_training_job(self, **request: Any) -> dict[str, Any]:
        check("sagemaker", "DescribeTrainingJob", request)
        return self._job("DescribeTrainingJob", request)

    def stop_training_job(self, **request: Any) -> dict[str, Any]:
        check("sagemaker", "StopTrainingJob", request)
        self._job("StopTrainingJob", request).update(TrainingJobStatus="Stopping", SecondaryStatus="Stopping")
        return {}

    def _job(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if request["TrainingJobName"] not in self.jobs:
            raise client_error(operation, "ValidationException", "Requested resource not found.")
        return self.jobs[request["TrainingJobName"]]
