"""Promotion: the state machine that promotes a version of the model, and tells what became of it. Its function also
takes the steps of pauses (stacks/api/pauses.py), which change the same stack.

An execution is named after its promotion and given {"promotion": id}. The serving stack is named, not referred to: it
is deployed after this one, and its update must not wait for this one's.
"""

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.endpoint import ENDPOINT_PREFIX
from contract.models import MODELS_PREFIX, PROMOTIONS_PREFIX, REGISTRY_PREFIX
from contract.operations import SILENT, alarm_name
from contract.steps import TeachEvent
from lambdas.settings import RolloutSettings
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from stacks.machine import Machine, call, read_fault
from stacks.serving.model import allow_asking, model_name
from stacks.serving.stack import VARIANT_NAME
from stacks.serving.update_role import UpdateRole

POLL_S = 30
"""An update takes ten minutes and more, and an execution may have 25,000 events, of which a look makes nine:
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
TEACH_RETRIES = 2
"""Of a worker that was stopped. One that had no time left says so, and is called again as any that has to wait."""
STEP_TIMEOUT_S = 300
"""For a step: eight golden questions, each of which a busy endpoint may let wait."""
MACHINE_TIMEOUT_S = 6 * 3600
"""Two updates, there and back, with all the waiting that blue/green deployments may do."""


def promotion_machine(
    stack: Construct, config: StageConfig, data: DataStack, teacher: HandlerFunction
) -> tuple[Machine, HandlerFunction]:
    """Update → wait and check until it is over → verify, after which it may have to be waited for again. When a version
    is live, tasks are taught for it: what they have learnt with another one counts no more, and words answer meanwhile.
    And the function.

    The function may update one stack with one role (stacks/serving/update_role.py), ask one endpoint, read and write
    what is registered and how the endpoint is, and look how often that was asked.
    """
    scope = Construct(stack, "Rollout")
    update_role = UpdateRole(scope, "UpdateRole", config=config)
    environment = RolloutSettings(
        artifacts_bucket=data.artifacts.bucket_name,
        serving_stack=config.serving_stack_name,
        endpoint_name=model_name(scope, config),
        update_role_arn=update_role.role_arn,
        variant_name=VARIANT_NAME,
        data_bucket=data.data.bucket_name,
        pause_after_idle_min=config.pause_after_idle_min,
    ).to_env()
    function = HandlerFunction(
        scope,
        "Function",
        config,
        "rollout",
        environment,
        "takes the steps of promotions and pauses",
        timeout_s=STEP_TIMEOUT_S,
    )
    may = function.permissions
    may.allow_stack(config.serving_stack_name, "DescribeStacks", "DescribeStackEvents")
    with_role = {"StringEquals": {"cloudformation:RoleArn": update_role.role_arn}}
    may.allow_stack(config.serving_stack_name, "UpdateStack", conditions=with_role)
    passed = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    may.allow(["iam:PassRole"], update_role.role_arn, conditions=passed)
    allow_asking(may, config, looking=True)
    may.allow_objects(data.artifacts, ["s3:GetObject"], MODELS_PREFIX, REGISTRY_PREFIX, PROMOTIONS_PREFIX)
    may.allow_objects(data.artifacts, ["s3:PutObject"], PROMOTIONS_PREFIX)
    may.allow_listing(data.artifacts)
    may.allow_objects(data.data, ["s3:GetObject", "s3:PutObject"], ENDPOINT_PREFIX)
    may.allow_listing(data.data)
    alarm = Stack.of(scope).format_arn(
        service="cloudwatch",
        resource="alarm",
        resource_name=alarm_name(config.name, SILENT),
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    may.allow(["cloudwatch:DisableAlarmActions", "cloudwatch:EnableAlarmActions"], alarm)
    if config.pause_after_idle_min:
        may.allow(["cloudwatch:GetMetricStatistics"], "*", because="CloudWatch's metrics are no resources")

    def step(id: str, step: str, *, reason: str = "", caught: sfn.IChainable | None = None) -> sfn.CustomState:
        event = {"step": step, **({"reason.$": reason} if reason else {}), "promotion.$": "$.promotion"}
        return call(scope, id, function, event, "$.outcome", caught=caught)

    def next_is(step: str) -> sfn.Condition:
        return sfn.Condition.string_equals("$.outcome.next", step)

    live = sfn.Succeed(scope, "Live")
    # Whether they can be taught or not, the version is live; what they lack is made up for with the next change.
    every = TeachEvent().model_dump()
    teach = call(scope, "Teach", teacher, every, "$.taught", caught=live, retries_of_any_failure=TEACH_RETRIES)
    teach.next(live)
    failed = sfn.Fail(scope, "NotLive", error="Wordsight.NotPromoted", cause_path="$.outcome.reason")
    # A step that could not be taken: the promotion's document has to say so.
    reported = read_fault(
        scope,
        step("ReportFault", "report", reason="$.fault.raised.errorMessage").next(failed),
        step("ReportError", "report", reason="$.error.Cause").next(failed),
    )
    update, check, verify = (step(name.capitalize(), name, caught=reported) for name in ("update", "check", "verify"))
    wait = sfn.Wait(scope, "WaitForStack", time=sfn.WaitTime.duration(Duration.seconds(POLL_S)))
    decide = (
        sfn.Choice(scope, "WhatNext")
        .when(next_is("wait"), wait.next(check))
        .when(next_is("verify"), verify)
        .when(next_is("live"), teach)
        .otherwise(failed)
    )
    for task in (update, check, verify):
        task.next(decide)
    functions = [function, teacher]
    machine = Machine(scope, "Machine", config=config, start=update, functions=functions, timeout_s=MACHINE_TIMEOUT_S)
    return machine, function
