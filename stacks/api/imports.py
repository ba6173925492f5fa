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


class Imports(Construct):
    """The machine that imports annotations, and the worker that it calls."""

    def __init__(
        self, scope: Construct, id: str, *, config: StageConfig, data: DataStack, serving: ServingStack
    ) -> None:
        super().__init__(scope, id)
        worker = self._function(config, data, serving)
        self.machine = Machine(self, "Machine", config=config, start=self._definition(worker), functions=[worker])

    def _function(self, config: StageConfig, data: DataStack, serving: ServingStack) -> HandlerFunction:
        """May read uploads, ask one endpoint about images, and add annotations."""
        settings = ImporterSettings(endpoint_name=serving.endpoint_name, data_bucket=data.data.bucket_name)
        function = HandlerFunction(
            self,
            "Function",
            config=config,
            module="importer",
            description="imports annotations",
            environment=settings.to_env(),
            timeout_s=WORKER_TIMEOUT_S,
        )
        may = function.permissions
        may.allow(["sagemaker:InvokeEndpoint"], serving.endpoint_arn)
        may.allow_objects(data.data, ["s3:GetObject"], UPLOADS_PREFIX, IMPORTS_PREFIX)
        may.allow_objects(data.data, ["s3:PutObject"], ANNOTATIONS_PREFIX, IMAGES_PREFIX, IMPORTS_PREFIX)
        may.allow_listing(data.data)
        return function

    def _definition(self, worker: HandlerFunction) -> sfn.IChainable:
        """Import, and again while it is running. What can't go on is written into the import's document."""
        give_up = call(self, "GiveUp", worker, {"id.$": "$.id", "failure.$": "$.error"}, "$.worked")
        give_up.next(sfn.Fail(self, "NotImported", error="Wordsight.NotImported", cause_path="$.error.Cause"))
        retries = RETRIES_OF_A_KILLED_WORKER
        work = call(
            self, "Import", worker, {"id.$": "$.id"}, "$.worked", caught=give_up, retries_of_any_failure=retries
        )
        return work.next(
            sfn.Choice(self, "IsRunning")
            .when(sfn.Condition.string_equals("$.worked.state", "running"), work)
            .otherwise(sfn.Succeed(self, "Ended"))
        )
