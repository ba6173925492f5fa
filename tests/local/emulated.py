"""What the tests deploy on the emulator, as the CDK CLI would, and how they wait for it."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.local.conftest import IMAGE

SOON = {"Delay": 0.1, "MaxAttempts": 600}
"""Boto's waiters look every 30 s by themselves."""

WAIT_S = 60
ROLE = "arn:aws:iam::000000000000:role/any"
ROLE_OF_A_FUNCTION = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ]
        }
    },
}


@contextmanager
def deployed(aws: Any, name: str, template: str) -> Iterator[Any]:
    """A client of CloudFormation while the stack stands."""
    stacks = aws("cloudformation")
    stacks.create_stack(StackName=name, TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"])
    settle(stacks, name, "create")
    yield stacks
    stacks.delete_stack(StackName=name)
    settle(stacks, name, "delete")


def settle(stacks: Any, name: str, change: str) -> None:
    """Return once the stack's change is complete; raises WaiterError if it fails."""
    stacks.get_waiter(f"stack_{change}_complete").wait(StackName=name, WaiterConfig=SOON)


def serving(**environment: str) -> str:
    """A template with one endpoint, as the serving stack's."""
    container = {"Image": IMAGE, "Environment": environment}
    variant = {"VariantName": "AllTraffic", "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}}
    config = {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
    target = {"ResourceId": "endpoint/clip/variant/AllTraffic", "MinCapacity": 1, "MaxCapacity": 2}
    resources = {
        "Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {"PrimaryContainer": container, "ExecutionRoleArn": ROLE},
        },
        "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}},
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {"EndpointName": "clip", "EndpointConfigName": config},
        },
        "Target": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": target},
    }
    return json.dumps({"Resources": resources})


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
