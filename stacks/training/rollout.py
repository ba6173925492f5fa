"""Promotion: the state machine that lets a version of the model go live, and tells what became of it.

An execution is named after its promotion and given {"promotion": id}. The serving stack is named, not referred to: it
is deployed after this one, and its update must not wait for this one's.
"""

from typing import Any

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.models import MODELS_PREFIX, PROMOTIONS_PREFIX, REGISTRY_PREFIX
from lambdas.settings import RolloutSettings
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from stacks.log_groups import log_group
from stacks.machine import allow_calls, lambda_task, read_fault

POLL_S = 5
STEP_TIMEOUT_S = 300
"""For a step: eight golden questions, each of which a busy endpoint may let wait."""
MACHINE_TIMEOUT_S = 6 * 3600
"""Two updates, there and back, with all the waiting that blue/green deployments may do."""


class Rollout(Construct):
    """The machine, and the function that takes its steps. `machine` is what starts promotions."""

    def __init__(self, scope: Construct, id: str, *, config: StageConfig, data: DataStack) -> None:
        super().__init__(scope, id)
        self.function = self._function(config, data)
        role = iam.Role(self, "MachineRole", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        allow_calls(role, [self.function])
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(self._definition()),
            role=role,
            timeout=Duration.seconds(MACHINE_TIMEOUT_S),
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=log_group(self, "MachineLogs", config), level=sfn.LogLevel.ALL, include_execution_data=True
            ),
        )
        self.machine.node.add_dependency(role)

    def _function(self, config: StageConfig, data: DataStack) -> HandlerFunction:
        """May update one stack, ask one endpoint, and read and write what is registered."""
        function = HandlerFunction(
            self,
            "Function",
            config=config,
            module="rollout",
            description="takes the steps of a promotion",
            environment=RolloutSettings(
                artifacts_bucket=data.artifacts.bucket_name,
                serving_stack=config.serving_stack_name,
                endpoint_name=config.name,
            ).to_env(),
            timeout_s=STEP_TIMEOUT_S,
        )
        function.allow(
            ["cloudformation:UpdateStack", "cloudformation:DescribeStacks", "cloudformation:DescribeStackEvents"],
            serving_stack_arn(self, config),
        )
        endpoint = Stack.of(self).format_arn(service="sagemaker", resource="endpoint", resource_name=config.name)
        function.allow(["sagemaker:InvokeEndpoint"], endpoint)
        function.allow_objects(data.artifacts, ["s3:GetObject"], MODELS_PREFIX, REGISTRY_PREFIX, PROMOTIONS_PREFIX)
        function.allow_objects(data.artifacts, ["s3:PutObject"], PROMOTIONS_PREFIX)
        function.allow_listing(data.artifacts)
        return function

    def _definition(self) -> sfn.IChainable:
        """Update → wait and check until it is over → verify, after which it may have to be waited for again."""
        live = sfn.Succeed(self, "Live")
        failed = sfn.Fail(self, "NotLive", error="Wordsight.NotPromoted", cause_path="$.outcome.reason")
        reported = self._report(failed)
        update, check, verify = (self._step(step, reported) for step in ("update", "check", "verify"))
        wait = sfn.Wait(self, "WaitForStack", time=sfn.WaitTime.duration(Duration.seconds(POLL_S)))
        decide = (
            sfn.Choice(self, "WhatNext")
            .when(_next_is("wait"), wait.next(check))
            .when(_next_is("verify"), verify)
            .when(_next_is("live"), live)
            .otherwise(failed)
        )
        for step in (update, check, verify):
            step.next(decide)
        return update

    def _step(self, step: str, reported: sfn.IChainable) -> sfn.CustomState:
        task = self._task(step.capitalize(), {"step": step})
        task.add_catch(reported, errors=["States.ALL"], result_path="$.error")
        return task

    def _report(self, failed: sfn.Fail) -> sfn.IChainable:
        """A step that could not be taken: the promotion's document has to say so."""
        raised = self._task("ReportFault", {"step": "report", "reason.$": "$.fault.raised.errorMessage"})
        other = self._task("ReportError", {"step": "report", "reason.$": "$.error.Cause"})
        return read_fault(self, "Step", raised.next(failed), other.next(failed))

    def _task(self, id: str, payload: dict[str, Any]) -> sfn.CustomState:
        return lambda_task(self, id, self.function, {**payload, "promotion.$": "$.promotion"}, "$.outcome")


def serving_stack_arn(scope: Construct, config: StageConfig) -> str:
    """Of the stack that serves, whatever its id is at present: for policies."""
    return Stack.of(scope).format_arn(
        service="cloudformation",
        resource="stack",
        resource_name=f"{config.serving_stack_name}/*",
        arn_format=ArnFormat.SLASH_RESOURCE_NAME,
    )


def _next_is(step: str) -> sfn.Condition:
    return sfn.Condition.string_equals("$.outcome.next", step)
