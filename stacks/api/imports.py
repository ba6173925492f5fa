"""Imports: the state machine that calls their worker until nothing is left to read.

An execution is named after its import and given {"id"}. The worker writes down how far it is, so that whichever call
comes next, also after one that was killed, goes on from there.
"""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.annotations import ANNOTATIONS_PREFIX, IMAGES_PREFIX
from contract.imports import IMPORTS_PREFIX
from contract.limits import UPLOADS_PREFIX
from lambdas.settings import ImporterSettings
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from stacks.machine import Machine, call
from stacks.serving.stack import ServingStack

WORKER_TIMEOUT_S = 600
RETRIES_OF_A_KILLED_WORKER = 2


def import_machine(stack: Construct, config: StageConfig, data: DataStack, serving: ServingStack) -> Machine:
    """Import, and again while it is running. What can't go on is written into the import's document.

    The worker may read uploads, ask one endpoint about images, and add annotations.
    """
    scope = Construct(stack, "Imports")
    environment = ImporterSettings(endpoint_name=serving.endpoint_name, data_bucket=data.data.bucket_name).to_env()
    worker = HandlerFunction(
        scope, "Function", config, "importer", environment, "imports annotations", timeout_s=WORKER_TIMEOUT_S
    )
    worker.permissions.allow(["sagemaker:InvokeEndpoint"], serving.endpoint_arn)
    worker.permissions.allow_objects(data.data, ["s3:GetObject"], UPLOADS_PREFIX, IMPORTS_PREFIX)
    worker.permissions.allow_objects(data.data, ["s3:PutObject"], ANNOTATIONS_PREFIX, IMAGES_PREFIX, IMPORTS_PREFIX)
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
