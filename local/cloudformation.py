"""CloudFormation in the emulator: SageMaker's resource types, and what its own handlers leave out.

The functions that wrap ministack's have the wrapped one as their `inner`.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ministack import app
from ministack.core import lambda_runtime
from ministack.services import s3
from ministack.services.cloudformation import handlers, provisioners, stacks

from local.endpoints import Endpoints, alarms_of
from local.functions import Functions
from local.permissions import Permissions
from local.sagemaker import ApiError, Record
from local.settings import ACCOUNT, REGION

SETTLE_WAIT_S = 20
SETTLE_POLL_S = 0.05
CDK_CLI_USER_AGENT = " aws-cdk"

Created = tuple[str, Record]
"""What a create handler returns: the physical id and the attributes for Fn::GetAtt."""


def extend(endpoints: Endpoints, functions: Functions, permissions: Permissions) -> None:
    """Register everything of this module in ministack's tables."""
    types = provisioners._RESOURCE_HANDLERS
    types["AWS::SageMaker::Model"] = _immutable(
        "Model", "a model", permissions, endpoints.create_model, endpoints.models.remove
    )
    types["AWS::SageMaker::EndpointConfig"] = _immutable(
        *("EndpointConfig", "an endpoint configuration", permissions),
        *(endpoints.create_endpoint_config, endpoints.configs.remove),
    )
    types["AWS::SageMaker::Endpoint"] = _endpoint(endpoints, permissions)
    types["AWS::ApplicationAutoScaling::ScalableTarget"] = _recorded("ResourceId", "scalable target", permissions)
    types["AWS::ApplicationAutoScaling::ScalingPolicy"] = _recorded("PolicyName", "scaling policy", permissions)
    types["AWS::Budgets::Budget"] = {"create": _create_budget, "delete": lambda physical_id, properties: None}
    bucket, function, services = types["AWS::S3::Bucket"], types["AWS::Lambda::Function"], app.SERVICE_HANDLERS
    bucket["create"] = partial(_create_tagged_bucket, bucket["create"])
    alarm = types["AWS::CloudWatch::Alarm"]
    alarm["create"] = partial(_create_alarm, alarm["create"])
    alarm["update"] = partial(_update_alarm, alarm["update"])
    machine = types["AWS::StepFunctions::StateMachine"]
    machine["create"] = partial(_create_logged_machine, machine["create"], permissions)
    function |= _function(dict(function), functions, permissions)
    services["cloudformation"] = partial(_describe_stacks_once_settled, services["cloudformation"])
    # An endpoint's creation downloads from this very server, so it must not hold the server's event loop.
    on_a_thread = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda kind: kind.startswith("AWS::SageMaker::") or on_a_thread(kind)
    handlers._capabilities_enforced = lambda: True  # UpdateStack too must say that it knows of the roles in a template


def _name(physical_id: str) -> str:
    return physical_id.rpartition("/")[2]


def _immutable(
    prefix: str, noun: str, permissions: Permissions, create: Callable[[Record], Record], delete: Callable[[str], None]
) -> dict[str, Callable[..., Any]]:
    """Every change replaces these types, so their generated name carries a digest of their properties."""
    stack_of: dict[str, str] = {}

    def create_named(logical_id: str, properties: Record, stack: str) -> Created:
        identity = json.dumps([stack, logical_id, properties], sort_keys=True, default=str)
        name = f"{logical_id[:50]}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
        passed = properties.get("ExecutionRoleArn", "")
        permissions.imply(
            f"a stack makes {noun}", permissions.role_of_change(stack), name=name, execution_role_arn=passed
        )
        arn = create({**properties, f"{prefix}Name": name})[f"{prefix}Arn"]
        stack_of[name] = stack
        return arn, {f"{prefix}Name": name}

    def delete_named(arn: str, _: Record) -> None:
        name = _name(arn)
        role = permissions.role_of_change(stack_of.pop(name, ""))
        permissions.imply(f"a stack removes {noun}", role, name=name)
        delete(name)

    return {"create": create_named, "delete": delete_named}


def _endpoint(endpoints: Endpoints, permissions: Permissions) -> dict[str, Callable[..., Any]]:
    """As on AWS, a deployment waits for the endpoint, and a failed update leaves the old containers answering."""
    stack_of: dict[str, str] = {}

    def request(name: str, properties: Record) -> Record:
        return {
            "EndpointName": name,
            "EndpointConfigName": _name(properties["EndpointConfigName"]),
            "DeploymentConfig": properties.get("DeploymentConfig", {}),
        }

    def settled(name: str) -> Created:
        endpoint = endpoints.settle(name)
        if reason := endpoint.get("FailureReason"):
            raise ApiError(reason, "EndpointFailed")
        return endpoint["EndpointArn"], {"EndpointName": name}

    def create(logical_id: str, properties: Record, stack: str) -> Created:
        name, role = properties["EndpointName"], permissions.role_of_change(stack)
        stack_of[name] = stack
        wanted = request(name, properties)
        permissions.imply("a stack makes an endpoint", role, name=name, config=wanted["EndpointConfigName"])
        for alarm in alarms_of(wanted):
            permissions.imply("an update names alarms", role, alarm=alarm)
        endpoints.create_endpoint(wanted)
        try:
            return settled(name)
        except ApiError:
            endpoints.delete_endpoint(name)
            raise

    def update(physical_id: str, old: Record, new: Record, stack: str) -> Created:
        name, role = _name(physical_id), permissions.role_of_change(stack)
        wanted = request(name, new)
        config = wanted["EndpointConfigName"]
        if endpoints.describe_endpoint(wanted)["EndpointConfigName"] == config:
            return physical_id, {"EndpointName": name}
        permissions.imply("a stack updates an endpoint", role, name=name, config=config)
        for alarm in alarms_of(wanted):
            permissions.imply("an update names alarms", role, alarm=alarm)
        endpoints.update_endpoint(wanted)
        return settled(name)

    def delete(physical_id: str, _: Record) -> None:
        name = _name(physical_id)
        permissions.imply("a stack removes an endpoint", permissions.role_of_change(stack_of.get(name, "")), name=name)
        endpoints.delete_endpoint(name)

    return {"create": create, "update": update, "delete": delete}


def _recorded(name_property: str, noun: str, permissions: Permissions) -> dict[str, Callable[..., Any]]:
    """Types that have no effect on one machine: accepted and remembered by the stack, nothing more."""

    def imply(stack: str) -> None:
        """One of an update with a role of its own, which knows the endpoint of its stage only."""
        endpoint = stack.lower().replace("serving", "")
        permissions.imply(f"a stack changes a {noun}", permissions.role_of_change(stack), endpoint=endpoint)

    def create(logical_id: str, properties: Record, stack: str) -> Created:
        imply(stack)
        name = properties[name_property]
        arn = f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:{stack}/{logical_id}/{name}"
        return arn, {"Id": arn, "Arn": arn}

    def delete(arn: str, properties: Record) -> None:
        imply(arn.split(":")[5].partition("/")[0])

    return {"create": create, "delete": delete}


def _create_budget(logical_id: str, properties: Record, stack: str) -> Created:
    """Nothing costs anything here: it is remembered by its stack, and never spent."""
    return f"{stack}-{logical_id}", {}


def _create_alarm(inner: Any, logical_id: str, properties: Record, stack: str) -> Any:
    """ministack has no alarms that add up several metrics: they are remembered by their stack, and never ring."""
    if "Metrics" not in properties:
        return inner(logical_id, properties, stack)
    name = properties["AlarmName"]
    return name, {"Arn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"}


def _update_alarm(inner: Any, physical_id: str, old: Record, new: Record, stack: str, logical_id: str = "") -> Any:
    if "Metrics" in new:
        return _create_alarm(inner, logical_id, new, stack)
    return inner(physical_id, old, new, stack, logical_id)


def _create_tagged_bucket(inner: Any, logical_id: str, properties: Record, stack: str) -> Created:
    """CDK's function that empties a bucket before its deletion acts only on a bucket that carries CDK's tag."""
    name, attributes = inner(logical_id, properties, stack)
    s3._bucket_tags[name] = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
    return name, attributes


def _create_logged_machine(
    inner: Any, permissions: Permissions, logical_id: str, properties: Record, stack: str
) -> Any:
    """Step Functions refuses a machine whose role may not write the logs and traces that it is made with."""
    permissions.imply("a state machine is made", properties["RoleArn"])
    return inner(logical_id, properties, stack)


def _function(inner: Record, functions: Functions, permissions: Permissions) -> Record:
    """Ministack's own handlers, held against the role of an update; with a function its processes end."""
    stack_of: dict[str, str] = {}

    def imply(moment: str, name: str, stack: str, role_arn: str) -> None:
        role = permissions.role_of_change(stack)
        permissions.imply(f"a stack {moment} a function", role, name=name, function_role_arn=role_arn)

    def create(logical_id: str, properties: Record, stack: str) -> Any:
        imply("makes", properties.get("FunctionName", logical_id), stack, properties.get("Role", ""))
        name, attributes = inner["create"](logical_id, properties, stack)
        stack_of[name] = stack
        return name, attributes

    def update(physical_id: str, old: Record, new: Record, stack: str, logical_id: str = "") -> Any:
        imply("changes", physical_id, stack, new.get("Role", ""))
        return inner["update"](physical_id, old, new, stack, logical_id)

    def delete(physical_id: str, properties: Record) -> None:
        imply("removes", physical_id, stack_of.pop(physical_id, ""), "")
        inner["delete"](physical_id, properties)
        name = physical_id.rpartition(":")[2]
        lambda_runtime.invalidate_worker(name)
        functions.stop(name)

    return {"create": create, "update": update, "delete": delete}


async def _describe_stacks_once_settled(
    inner: Any, method: str, path: str, headers: Any, body: bytes, query: Any
) -> Any:
    """The CDK CLI asks every 5 s whether a stack is done. Holding its answer while it changes makes its first look the
    last one in most cases: with four stacks a deployment took 2.1 s instead of 11.6, its removal 1.6 and not 11.1.
    Every other client sees what is, as on AWS."""
    of_the_cli = CDK_CLI_USER_AGENT in headers.get("user-agent", "")
    about_one_stack = of_the_cli and b"Action=DescribeStacks" in body and b"StackName=" in body
    deadline = time.monotonic() + SETTLE_WAIT_S
    while True:
        status, answer_headers, answer = await inner(method, path, headers, body, query)
        changing = b"_IN_PROGRESS</StackStatus>" in answer and b"REVIEW_IN_PROGRESS" not in answer
        if not (about_one_stack and changing) or time.monotonic() > deadline:
            return status, answer_headers, answer
        await asyncio.sleep(SETTLE_POLL_S)
