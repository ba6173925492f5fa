"""A stage in an AWS account, as whoever operates it sees it: configuration, stacks and their outputs."""

import argparse
import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import boto3
from botocore.exceptions import ClientError

from contract.endpoint import PAUSED_PARAMETER, YES
from contract.settings import SettingsError
from stacks.config import StackPart, StageConfig
from stacks.stage_files import from_context

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

    def resources(self, part: StackPart) -> list[dict[str, Any]]:
        """What CloudFormation says of each resource of a stack, by its newest state; none where there is no stack."""
        pages = self.connect("cloudformation").get_paginator("list_stack_resources")
        try:
            found = pages.paginate(StackName=self.config.stack_name(part))
            return [resource for page in found for resource in page["StackResourceSummaries"]]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return []
            raise

    def physical_ids(self, part: StackPart, kind: str) -> dict[str, str]:
        """The physical ids of a stack's living resources of a type such as AWS::S3::Bucket, by their logical ids."""
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in self.resources(part)
            if resource["ResourceType"] == kind
            and resource.get("PhysicalResourceId")
            and resource["ResourceStatus"] not in ("DELETE_COMPLETE", "DELETE_SKIPPED")
        }


@dataclass(frozen=True)
class Site:
    """Where the stage would be deployed."""

    stage: Stage
    account: str
    region: str
    partition: str

    @property
    def config(self) -> StageConfig:
        return self.stage.config

    def ask(self, service: str) -> Any:
        """The service's client."""
        return self.stage.connect(service)


def paused_since(stage: Stage) -> datetime | None:
    """When the stack of a paused stage was last changed; None of a stage that has an endpoint, or should have."""
    stack = stage.stack("Serving")
    parameters = {each["ParameterKey"]: each.get("ParameterValue") for each in (stack or {}).get("Parameters", [])}
    if stack is None or parameters.get(PAUSED_PARAMETER) != YES:
        return None
    since: datetime = stack.get("LastUpdatedTime") or stack["CreationTime"]
    return since


def add_stage_arguments(parser: argparse.ArgumentParser) -> None:
    """The stage's name, and `-c name=value` as the CDK CLI takes it."""
    parser.add_argument("stage", metavar="STAGE", help="such as dev")
    parser.add_argument(
        "-c",
        "--context",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a knob that it was deployed with (stacks/config.py); may be given several times",
    )


def chosen_stage(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Stage:
    """The stage that `add_stage_arguments` was given, in the account and region of the shell. Raises OperatorError."""
    pairs = [pair.partition("=") for pair in arguments.context]
    if wrong := [name for name, equals, _ in pairs if not (name and equals)]:
        raise OperatorError(f"-c takes NAME=VALUE, got {wrong[0]!r}: for instance -c auth=iam")
    try:
        config = from_context({"stage": arguments.stage, **{name: value for name, _, value in pairs}})
    except SettingsError as error:
        raise OperatorError(f"the configuration is not allowed: {error}") from None
    return Stage(config, connected(environ))


def connected(environ: Mapping[str, str]) -> Connect:
    """Clients for the account and region that the CDK CLI deploys to: it heeds AWS_REGION, which boto3 does not."""

    @functools.cache
    def session() -> Any:
        return boto3.Session(region_name=environ.get("AWS_REGION") or None)

    @functools.cache
    def connect(service: str) -> Any:
        return session().client(service)

    return connect
