"""A stage in an AWS account, as whoever operates it sees it: configuration, stacks and their outputs."""

from collections.abc import Callable
from typing import Any, get_args

from botocore.exceptions import ClientError

from stacks.config import StackPart, StageConfig

Connect = Callable[[str], Any]
"""From a service's name to its boto3 client, in the account and region of the shell."""


class OperatorError(Exception):
    """A command can't go on. The text says what is wrong and what to do about it."""


class Stage:
    """One stage in the account that `connect` leads to. Nothing is asked before it is needed."""

    def __init__(self, config: StageConfig, connect: Connect) -> None:
        self.config = config
        self.connect = connect

    @property
    def stack_names(self) -> list[str]:
        """In the order in which they are deployed."""
        return [self.config.stack_name(part) for part in get_args(StackPart)]

    def stack(self, part: StackPart) -> dict[str, Any] | None:
        """CloudFormation's description of a stack, or None where there is none."""
        try:
            found = self.connect("cloudformation").describe_stacks(StackName=self.config.stack_name(part))
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise
        (stack,) = found["Stacks"]
        return dict(stack)

    def outputs(self, part: StackPart) -> dict[str, str]:
        """A stack's outputs by their keys. Raises OperatorError where there is no such stack."""
        stack = self.stack(part)
        if stack is None:
            name = self.config.stack_name(part)
            raise OperatorError(f"{name} is not deployed here: make deploy STAGE={self.config.stage}")
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
