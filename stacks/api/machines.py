"""The state machines of imports and batches, each with the worker that it calls; an execution is given {"id"}."""

from typing import Any

from aws_cdk import ArnFormat, Fn, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.annotations import ANNOTATIONS_PREFIX, IMAGES_PREFIX
from contract.batches import BATCHES_PREFIX
from contract.imports import IMPORTS_PREFIX
from contract.limits import UPLOADS_PREFIX
from contract.sources import SOURCE_PREFIXES
from contract.taught import EMBEDDINGS_PREFIX
from lambdas.settings import BatchSettings, ImporterSettings
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from stacks.machine import Machine, call, catch
from stacks.nag import acknowledge, wildcard
from stacks.serving.model import allow_asking, model_name

IMPORT_WORKER_TIMEOUT_S = 600
BATCH_WORKER_TIMEOUT_S = 900
"""As long as Lambda allows: a worker waits in it until an overloaded endpoint has time for its shard."""
RETRIES_OF_A_KILLED_WORKER = 2
MAP_LABEL = "Shards"


def import_machine(stack: Construct, config: StageConfig, data: DataStack, teach_function_arn: str) -> Machine:
    """Import, and again while it is running. What can't go on is written into the import's document.

    The worker writes down how far it is, so that whichever call comes next, also after one that was killed, goes on
    from there. It may read uploads, ask one endpoint about images, add annotations, and let tasks be taught by them.
    """
    scope = Construct(stack, "Imports")
    environment = ImporterSettings(
        endpoint_name=model_name(scope, config),
        data_bucket=data.data.bucket_name,
        teach_function_arn=teach_function_arn,
    ).to_env()
    worker = HandlerFunction(
        scope, "Function", config, "importer", environment, "imports annotations", timeout_s=IMPORT_WORKER_TIMEOUT_S
    )
    allow_asking(worker.permissions, config)
    worker.permissions.allow_objects(data.data, ["s3:GetObject"], UPLOADS_PREFIX, IMPORTS_PREFIX)
    added = (ANNOTATIONS_PREFIX, IMAGES_PREFIX, EMBEDDINGS_PREFIX, IMPORTS_PREFIX)
    worker.permissions.allow_objects(data.data, ["s3:PutObject"], *added)
    worker.permissions.allow(["lambda:InvokeFunction"], teach_function_arn)
    worker.permissions.allow_listing(data.data)

    give_up = call(scope, "GiveUp", worker, {"id.$": "$.id", "failure.$": "$.error"}, "$.worked")
    give_up.next(sfn.Fail(scope, "NotImported", error="Wordsight.NotImported", cause_path="$.error.Cause"))
    retries = RETRIES_OF_A_KILLED_WORKER
    work = call(scope, "Import", worker, {"id.$": "$.id"}, "$.worked", caught=give_up, retries_of_any_failure=retries)
    work.next(
        sfn.Choice(scope, "IsRunning")
        .when(sfn.Condition.string_equals("$.worked.state", "running"), work)
        .otherwise(sfn.Succeed(scope, "Ended"))
    )
    return Machine(scope, "Machine", config=config, start=work, functions=[worker])


def batch_machine(stack: Construct, config: StageConfig, data: DataStack) -> Machine:
    """Plan until everything is listed → classify what is missing. Why it can't go on is written down.

    Step Functions' distributed map and not a SageMaker processing job or a cluster: it tries a single shard again,
    keeps its own progress, costs nothing while it rests, and asks the endpoint that is there, so a batch gets the
    answers that POST /classify would give. Each shard is one idempotent piece of work; what is done is known from the
    bucket, so that a later execution does only what is missing. An execution is named `<batch>-<attempt>`. The worker
    may read images where batches may have them, ask one endpoint, and write what came of it.
    """
    scope = Construct(stack, "Batches")
    environment = BatchSettings(endpoint_name=model_name(scope, config), data_bucket=data.data.bucket_name).to_env()
    worker = HandlerFunction(
        scope, "Function", config, "batch", environment, "classifies stored images", timeout_s=BATCH_WORKER_TIMEOUT_S
    )
    allow_asking(worker.permissions, config)
    worker.permissions.allow_objects(data.data, ["s3:GetObject"], *SOURCE_PREFIXES, BATCHES_PREFIX)
    worker.permissions.allow_objects(data.data, ["s3:PutObject"], BATCHES_PREFIX)
    worker.permissions.allow_listing(data.data)

    def step(
        id: str, payload: dict[str, Any], result_path: str, caught: sfn.IChainable | None = None
    ) -> sfn.CustomState:
        event = {**payload, "id.$": "$.id"}
        retries = RETRIES_OF_A_KILLED_WORKER
        return call(scope, id, worker, event, result_path, caught=caught, retries_of_any_failure=retries)

    def give_up(id: str) -> sfn.IChainable:
        """Let the batch's documents tell the reason, then fail with it."""
        tell = step(f"Tell{id}Failure", {"step": "fail", "error.$": "$.error"}, "$.told")
        return tell.next(sfn.Fail(scope, f"{id}Failed", error="Wordsight.NotClassified", cause_path="$.error.Cause"))

    # One child execution per shard. One that can't be done, after all retries, ends the others.
    shards = sfn.DistributedMap(
        scope,
        "Classify",
        label=MAP_LABEL,
        items_path="$.plan.shards",
        item_selector={"id.$": "$.id", "shard.$": "$$.Map.Item.Value"},
        max_concurrency=config.batch_concurrency,
        map_execution_type=sfn.StateMachineType.STANDARD,
        result_path=sfn.JsonPath.DISCARD,
    )
    shards.item_processor(step("Shard", {"step": "shard", "shard.$": "$.shard"}, "$", caught=give_up("Shard")))
    catch(shards, sfn.Fail(scope, "NotClassified", error="Wordsight.NotClassified", cause_path="$.error.Cause"))
    plan = step("Plan", {"step": "plan"}, "$.plan", caught=give_up("Plan"))
    plan.next(
        sfn.Choice(scope, "IsPlanned")
        .when(sfn.Condition.boolean_equals("$.plan.complete", True), shards.next(sfn.Succeed(scope, "Classified")))
        .otherwise(plan)
    )
    machine = Machine(scope, "Machine", config=config, start=plan, functions=[worker])
    name = Fn.select(6, Fn.split(":", machine.state_machine_arn))
    colon = ArnFormat.COLON_RESOURCE_NAME
    executions = Stack.of(scope).format_arn(
        service="states", resource="execution", resource_name=name, arn_format=colon
    )
    acknowledge(
        machine,
        "a distributed map watches and stops its own executions, one per shard, named by Step Functions",
        *(wildcard(scope, f"{executions}{ending}") for ending in (":*", f"/{MAP_LABEL}:*")),
    )
    return machine
