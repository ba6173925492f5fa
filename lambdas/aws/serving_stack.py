"""The serving stack as CloudFormation tells of it: which checkpoint is live, whether there is an endpoint, and the
one way to change that.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contract.endpoint import PAUSED_PARAMETER, YES
from contract.models import MODEL_URI_PARAMETER
from contract.problems import Conflict
from lambdas.aws.clients import Connect
from lambdas.aws.errors import botocore_errors_as_problems, code_of, message_of

_NOTHING_TO_DO = "No updates are to be performed"


@dataclass(frozen=True)
class StackState:
    """`status` is CloudFormation's StackStatus, such as UPDATE_COMPLETE; `changed` is when the last change began, of
    whatever kind. A paused stack has no endpoint.
    """

    model_uri: str
    status: str
    paused: bool
    changed: datetime

    @property
    def changing(self) -> bool:
        """Whether a deployment or a rollback is under way; no other can begin."""
        return self.status.endswith("_IN_PROGRESS")


class ServingStack:
    """One stack. Every method raises ServiceUnavailable if CloudFormation does not answer."""

    def __init__(self, name: str, connect: Connect) -> None:
        self.name = name
        self._connect = connect

    def state(self) -> StackState:
        """What is live now. Raises Conflict if the stack is not there."""
        stack = self._describe()
        parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}
        return StackState(
            parameters[MODEL_URI_PARAMETER],
            stack["StackStatus"],
            parameters.get(PAUSED_PARAMETER) == YES,  # which a stack of an earlier release does not know
            stack.get("LastUpdatedTime") or stack["CreationTime"],
        )

    def update(self, role_arn: str, token: str, **parameters: str) -> bool:
        """Begin to give the template's `parameters` these values; False if they have them.

        CloudFormation acts with the role `role_arn`. The template and its other parameters stay as they were deployed.
        The same `token` begins it once only. Raises Conflict with CloudFormation's sentence if it can't begin.
        """
        stack = self._describe()
        others = (each["ParameterKey"] for each in stack.get("Parameters", []))
        kept = [{"ParameterKey": key, "UsePreviousValue": True} for key in others if key not in parameters]
        changed = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        try:
            with self._errors_as_problems():
                self._connect("cloudformation").update_stack(
                    StackName=self.name,
                    UsePreviousTemplate=True,
                    Parameters=[*changed, *kept],
                    RoleARN=role_arn,
                    Capabilities=stack.get("Capabilities", []),
                    ClientRequestToken=token,
                )
        except Conflict as conflict:
            if _NOTHING_TO_DO in conflict.detail:
                return False
            raise
        return True

    def first_failure(self) -> str | None:
        """Why the last update failed: CloudFormation's reason for the first resource that did."""
        first = None
        with self._errors_as_problems():
            pages = self._connect("cloudformation").get_paginator("describe_stack_events").paginate(StackName=self.name)
            for event in (event for page in pages for event in page["StackEvents"]):  # the newest first
                status, resource = event["ResourceStatus"], event["LogicalResourceId"]
                if status.endswith("_FAILED"):
                    first = f"{resource}: {event.get('ResourceStatusReason') or 'no reason was given'}"
                if status == "UPDATE_IN_PROGRESS" and resource == self.name:
                    break
        return first

    def _describe(self) -> dict[str, Any]:
        with self._errors_as_problems():
            found: dict[str, Any] = self._connect("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]
            return found

    def _errors_as_problems(self) -> AbstractContextManager[bool | None]:
        return botocore_errors_as_problems("CloudFormation", problem_of=self._conflict)

    def _conflict(self, error: Exception) -> Conflict | None:
        """CloudFormation's ValidationError tells of a stack that is not there or can't be changed now."""
        if code_of(error) != "ValidationError":
            return None
        return Conflict(f"CloudFormation says of the stack {self.name}: {message_of(error)}")
