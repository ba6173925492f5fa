"""Batches: the state machine that lists their images and has many workers classify them side by side.

Step Functions' distributed map and not a SageMaker processing job or a cluster: it tries a single shard again, keeps
its own progress, costs nothing while it rests, and asks the endpoint that is there, so a batch gets the answers that
POST /classify would give. Each shard is one idempotent piece of work; what is done is known from the bucket, so that a
later execution does only what is missing. An execution is named `<batch>-<attempt>` and given {"id"}.
"""

from typing import Any

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.batches import BATCHES_PREFIX, SOURCE_PREFIXES
from lambdas.settings import BatchSettings
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from stacks.machine import Machine, call, catch
from stacks.nag import acknowledge, wildcard
from stacks.serving.stack import ServingStack

WORKER_TIMEOUT_S = 900
"""As long as Lambda allows: a worker waits in it until an overloaded endpoint has time for its shard."""
RETRIES_OF_A_KILLED_WORKER = 2
SHARDS = "Shards"
"""What Step Functions calls the executions of the map."""


class Batches(Construct):
    """The machine that classifies batches, and the worker that it calls."""

    def __init__(
        self, scope: Construct, id: str, *, config: StageConfig, data: DataStack, serving: ServingStack
    ) -> None:
        super().__init__(scope, id)
        self._worker = self._function(config, data, serving)
        start = self._definition(config)
        self.machine = Machine(self, "Machine", config=config, start=start, functions=[self._worker])
        arn = Stack.of(self).split_arn(self.machine.state_machine_arn, ArnFormat.COLON_RESOURCE_NAME)
        shards = Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=str(arn.resource_name),
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        acknowledge(
            self.machine,
            "a distributed map watches and stops its own executions, one per shard, named by Step Functions",
            *(wildcard(self, f"{shards}{executions}") for executions in (":*", f"/{SHARDS}:*")),
        )

    def _function(self, config: StageConfig, data: DataStack, serving: ServingStack) -> HandlerFunction:
        """May read images where batches may have them, ask one endpoint, and write what came of it."""
        function = HandlerFunction(
            self,
            "Function",
            config=config,
            module="batch",
            description="classifies stored images",
            environment=BatchSettings(endpoint_name=serving.endpoint_name, data_bucket=data.data.bucket_name).to_env(),
            timeout_s=WORKER_TIMEOUT_S,
        )
        may = function.permissions
        may.allow(["sagemaker:InvokeEndpoint"], serving.endpoint_arn)
        may.allow_objects(data.data, ["s3:GetObject"], *SOURCE_PREFIXES, BATCHES_PREFIX)
        may.allow_objects(data.data, ["s3:PutObject"], BATCHES_PREFIX)
        may.allow_listing(data.data)
        return function

    def _definition(self, config: StageConfig) -> sfn.IChainable:
        """Plan until everything is listed → classify what is missing. Why it can't go on is written down."""
        failed = sfn.Fail(self, "NotClassified", error="Wordsight.NotClassified", cause_path="$.error.Cause")
        plan = self._step("Plan", {"step": "plan"}, "$.plan", caught=self._give_up("Plan"))
        return plan.next(
            sfn.Choice(self, "IsPlanned")
            .when(sfn.Condition.boolean_equals("$.plan.complete", True), self._classify(config, failed))
            .otherwise(plan)
        )

    def _classify(self, config: StageConfig, failed: sfn.Fail) -> sfn.IChainable:
        """One child execution per shard. One that can't be done, after all retries, ends the others."""
        shards = sfn.DistributedMap(
            self,
            "Classify",
            label=SHARDS,
            items_path="$.plan.shards",
            item_selector={"id.$": "$.id", "shard.$": "$$.Map.Item.Value"},
            max_concurrency=config.batch_concurrency,
            map_execution_type=sfn.StateMachineType.STANDARD,
            result_path=sfn.JsonPath.DISCARD,
        )
        shard = {"step": "shard", "shard.$": "$.shard"}
        shards.item_processor(self._step("Shard", shard, "$", caught=self._give_up("Shard")))
        catch(shards, failed)
        return shards.next(sfn.Succeed(self, "Classified"))

    def _give_up(self, id: str) -> sfn.IChainable:
        """Let the batch's documents tell the reason, then fail with it."""
        tell = self._step(f"Tell{id}Failure", {"step": "fail", "error.$": "$.error"}, "$.told")
        return tell.next(sfn.Fail(self, f"{id}Failed", error="Wordsight.NotClassified", cause_path="$.error.Cause"))

    def _step(
        self, id: str, payload: dict[str, Any], result_path: str, caught: sfn.IChainable | None = None
    ) -> sfn.CustomState:
        event = {**payload, "id.$": "$.id"}
        retries = RETRIES_OF_A_KILLED_WORKER
        return call(self, id, self._worker, event, result_path, caught=caught, retries_of_any_failure=retries)
