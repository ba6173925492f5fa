"""Promotion: the state machine that promotes a version of the model, and tells what became of it.

An execution is named after its promotion and given {"promotion": id}. The serving stack is named, not referred to: it
is deployed after this one, and its update must not wait for this one's.
"""

from aws_cdk import Duration, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.models import MODELS_PREFIX, PROMOTIONS_PREFIX, REGISTRY_PREFIX
from lambdas.settings import RolloutSettings
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from stacks.machine import Machine, call, read_fault

POLL_S = 5
STEP_TIMEOUT_S = 300
"""For a step: eight golden questions, each of which a busy endpoint may let wait."""
MACHINE_TIMEOUT_S = 6 * 3600
"""Two updates, there and back, with all the waiting that blue/green deployments may do."""


class Rollout(Construct):
    """The machine that promotes, and the function that takes its steps."""

    def __init__(self, scope: Construct, id: str, *, config: StageConfig, data: DataStack) -> None:
        super().__init__(scope, id)
        self._function = self._steps(config, data)
        self.machine = Machine(
            self,
            "Machine",
            config=config,
            start=self._definition(),
            functions=[self._function],
            timeout_s=MACHINE_TIMEOUT_S,
        )

    def _steps(self, config: StageConfig, data: DataStack) -> HandlerFunction:
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
        may = function.permissions
        may.allow_stack(
            config.serving_stack_name,
            *("cloudformation:UpdateStack", "cloudformation:DescribeStacks", "cloudformation:DescribeStackEvents"),
        )
        endpoint = Stack.of(self).format_arn(service="sagemaker", resource="endpoint", resource_name=config.name)
        may.allow(["sagemaker:InvokeEndpoint"], endpoint)
        may.allow_objects(data.artifacts, ["s3:GetObject"], MODELS_PREFIX, REGISTRY_PREFIX, PROMOTIONS_PREFIX)
        may.allow_objects(data.artifacts, ["s3:PutObject"], PROMOTIONS_PREFIX)
        may.allow_listing(data.artifacts)
        return function

    def _definition(self) -> sfn.IChainable:
        """Update → wait and check until it is over → verify, after which it may have to be waited for again."""
        live = sfn.Succeed(self, "Live")
        failed = sfn.Fail(self, "NotLive", error="Wordsight.NotPromoted", cause_path="$.outcome.reason")
        reported = self._report(failed)
        update, check, verify = (
            self._step(step.capitalize(), step, caught=reported) for step in ("update", "check", "verify")
        )
        wait = sfn.Wait(self, "WaitForStack", time=sfn.WaitTime.duration(Duration.seconds(POLL_S)))
        decide = (
            sfn.Choice(self, "WhatNext")
            .when(_next_is("wait"), wait.next(check))
            .when(_next_is("verify"), verify)
            .when(_next_is("live"), live)
            .otherwise(failed)
        )
        for task in (update, check, verify):
            task.next(decide)
        return update

    def _report(self, failed: sfn.Fail) -> sfn.IChainable:
        """A step that could not be taken: the promotion's document has to say so."""
        raised = self._step("ReportFault", "report", reason="$.fault.raised.errorMessage")
        other = self._step("ReportError", "report", reason="$.error.Cause")
        return read_fault(self, raised.next(failed), other.next(failed))

    def _step(self, id: str, step: str, *, reason: str = "", caught: sfn.IChainable | None = None) -> sfn.CustomState:
        event = {"step": step, **({"reason.$": reason} if reason else {}), "promotion.$": "$.promotion"}
        return call(self, id, self._function, event, "$.outcome", caught=caught)


def _next_is(step: str) -> sfn.Condition:
    return sfn.Condition.string_equals("$.outcome.next", step)
