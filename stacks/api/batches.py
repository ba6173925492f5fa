"""Batches: the state machine that lists their images and has many workers classify them side by side.

Step Functions' distributed map and not a SageMaker processing job or a cluster: it tries a single shard again, keeps
its own progress, costs nothing while it rests, and asks the endpoint that is there, so a batch gets the answers that
POST /classify would give. Each shard is one idempotent piece of work; what is done is known from the bucket, so that a
later execution does only what is missing. An execution is named `<batch>-<attempt>` and given {"id"}.
"""

from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.batches import BATCHES_PREFIX, SOURCE_PREFIXES
from lambdas.settings import BatchSettings
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from stacks.log_groups import log_group
from stacks.machine import allow_calls, lambda_task
from stacks.serving.stack import ServingStack

WORKER_TIMEOUT_S = 900
"""As long as Lambda allows: a worker waits in it until an overloaded endpoint has time for its shard."""
RETRIES_OF_A_KILLED_WORKER = 2


class Batches(Construct):
    """The machine, and the worker that it calls. `machine` is what starts batches."""

    def __init__(
        self, scope: Construct, id: str, *, config: StageConfig, data: DataStack, serving: ServingStack
    ) -> None:
        super().__init__(scope, id)
        self._worker = self._function(config, data, serving)
        role = iam.Role(self, "MachineRole", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        allow_calls(role, [self._worker])
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(self._definition(config)),
            role=role,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=log_group(self, "MachineLogs", config), level=sfn.LogLevel.ALL, include_execution_data=True
            ),
        )
        self.machine.node.add_dependency(role)

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
        function.allow(["sagemaker:InvokeEndpoint"], serving.endpoint_arn)
        function.allow_objects(data.data, ["s3:GetObject"], *SOURCE_PREFIXES, BATCHES_PREFIX)
        function.allow_objects(data.data, ["s3:PutObject"], BATCHES_PREFIX)
        function.allow_listing(data.data)
        return function

    def _definition(self, config: StageConfig) -> sfn.IChainable:
        """Plan until everything is listed → classify what is missing. Why it can't go on is written down."""
        failed = sfn.Fail(self, "NotClassified", error="Wordsight.NotClassified", cause_path="$.error.Cause")
        plan = self._step("Plan", {"step": "plan"}, result_path="$.plan")
        plan.next(
            sfn.Choice(self, "IsPlanned")
            .when(sfn.Condition.boolean_equals("$.plan.complete", True), self._classify(config, failed))
            .otherwise(plan)
        )
        plan.add_catch(self._give_up("Plan"), errors=["States.ALL"], result_path="$.error")
        return plan

    def _classify(self, config: StageConfig, failed: sfn.Fail) -> sfn.IChainable:
        """One child execution per shard. One that can't be done, after all retries, ends the others."""
        shards = sfn.DistributedMap(
            self,
            "Classify",
            label="Shards",
            items_path="$.plan.shards",
            item_selector={"id.$": "$.id", "shard.$": "$$.Map.Item.Value"},
            max_concurrency=config.batch_concurrency,
            map_execution_type=sfn.StateMachineType.STANDARD,
            result_path=sfn.JsonPath.DISCARD,
        )
        shard = self._step("Shard", {"step": "shard", "shard.$": "$.shard"}, result_path="$")
        shard.add_catch(self._give_up("Shard"), errors=["States.ALL"], result_path="$.error")
        shards.item_processor(shard)
        shards.add_catch(failed, errors=["States.ALL"], result_path="$.error")
        return shards.next(sfn.Succeed(self, "Classified"))

    def _give_up(self, id: str) -> sfn.IChainable:
        """Let the batch's documents tell the reason, then fail with it."""
        tell = self._step(f"Tell{id}Failure", {"step": "fail", "error.$": "$.error"}, result_path="$.told")
        return tell.next(sfn.Fail(self, f"{id}Failed", error="Wordsight.NotClassified", cause_path="$.error.Cause"))

    def _step(self, id: str, payload: dict[str, Any], result_path: str) -> sfn.CustomState:
        return lambda_task(
            self,
            id,
            self._worker,
            {**payload, "id.$": "$.id"},
            result_path,
            retries_of_any_failure=RETRIES_OF_A_KILLED_WORKER,
        )
