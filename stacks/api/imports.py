"""Imports: the state machine that calls their worker until nothing is left to read.

An execution is named after its import and given {"id"}. The worker writes down how far it is, so that whichever call
comes next, also after one that was killed, goes on from there.
"""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.annotations import ANNOTATIONS_PREFIX, IMAGES_PREFIX
from contract.imports import IMPORTS_PREFIX
from contract.limits import UPLOADS_PREFIX
from lambdas.settings import ImporterSettings
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from stacks.log_groups import log_group
from stacks.machine import allow_calls, lambda_task
from stacks.serving.stack import ServingStack

WORKER_TIMEOUT_S = 600
RETRIES_OF_A_KILLED_WORKER = 2


class Imports(Construct):
    """The machine, and the worker that it calls. `machine` is what starts imports."""

    def __init__(
        self, scope: Construct, id: str, *, config: StageConfig, data: DataStack, serving: ServingStack
    ) -> None:
        super().__init__(scope, id)
        self._worker = self._importer(config, data, serving)
        role = iam.Role(self, "MachineRole", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        allow_calls(role, [self._worker])
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(self._definition()),
            role=role,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=log_group(self, "MachineLogs", config), level=sfn.LogLevel.ALL, include_execution_data=True
            ),
        )
        self.machine.node.add_dependency(role)

    def _importer(self, config: StageConfig, data: DataStack, serving: ServingStack) -> HandlerFunction:
        """May read uploads, ask one endpoint about images, and add annotations."""
        function = HandlerFunction(
            self,
            "Function",
            config=config,
            module="importer",
            description="imports annotations",
            environment=ImporterSettings(
                endpoint_name=serving.endpoint_name, data_bucket=data.data.bucket_name
            ).to_env(),
            timeout_s=WORKER_TIMEOUT_S,
        )
        function.allow(["sagemaker:InvokeEndpoint"], serving.endpoint_arn)
        function.allow_objects(data.data, ["s3:GetObject"], UPLOADS_PREFIX, IMPORTS_PREFIX)
        function.allow_objects(data.data, ["s3:PutObject"], ANNOTATIONS_PREFIX, IMAGES_PREFIX, IMPORTS_PREFIX)
        function.allow_listing(data.data)
        return function

    def _definition(self) -> sfn.IChainable:
        """Import, and again while it is running. What can't go on is written into the import's document."""
        failed = sfn.Fail(self, "NotImported", error="Wordsight.NotImported", cause_path="$.error.Cause")
        give_up = lambda_task(
            self, "GiveUp", self._worker, {"id.$": "$.id", "failure.$": "$.error"}, result_path="$.worked"
        )
        give_up.next(failed)
        work = lambda_task(
            self,
            "Import",
            self._worker,
            {"id.$": "$.id"},
            "$.worked",
            retries_of_any_failure=RETRIES_OF_A_KILLED_WORKER,
        )
        work.add_catch(give_up, errors=["States.ALL"], result_path="$.error")
        work.next(
            sfn.Choice(self, "IsRunning")
            .when(sfn.Condition.string_equals("$.worked.state", "running"), work)
            .otherwise(sfn.Succeed(self, "Ended"))
        )
        return work
