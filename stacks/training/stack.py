"""Training: the image, the role and the state machine that runs one SageMaker training job per execution.

POST /trainings starts executions; a training job alone can be started by hand:

    aws stepfunctions start-execution --state-machine-arn … --name attempt-1 \\
        --input '{"dataset_s3_uri": "s3://<data bucket>/snapshots/<name>/", "hyperparameters": {"epochs": "5"}}'

CloudFormation knows no training job that it could create: the state machine is the definition of one. `hyperparameters`
may be left out. The job is called `wordsight-<stage>-<name>`: as its name may have 63 characters, letters, digits and
hyphens, an execution of `dev` may have 49 of them, and neither an underscore nor a hyphen at the end. Without --name it
is a UUID, which fits. The output is {"training_job_name", "artifact_s3_uri"}, and the URI is what `ModelUri` takes.
"""

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.annotations import ANNOTATIONS_PREFIX
from contract.models import MODELS_PREFIX, PROMOTIONS_PREFIX, REGISTRY_PREFIX
from contract.trainings import SNAPSHOTS_PREFIX
from lambdas.settings import GateSettings, SnapshotSettings
from stacks.config import StageConfig
from stacks.data import CHECKPOINTS_PREFIX, TRAINING_PREFIXES, DataStack
from stacks.execution_role import ExecutionRole
from stacks.handler_function import HandlerFunction
from stacks.images import ContainerImage
from stacks.log_groups import log_group
from stacks.machine import allow_calls
from stacks.training.definition import Parts, definition
from stacks.training.job import create_training_job_state
from stacks.training.revision import git_revision
from stacks.training.rollout import Rollout, serving_stack_arn

LOG_GROUP_NAME = "/aws/sagemaker/TrainingJobs"
"""SageMaker's, shared by all training jobs of the account: written to, never managed."""

SNAPSHOT_TIMEOUT_S = 600
"""For some hundred thousand annotations, each an object of its own."""


class TrainingStack(Stack):
    """The state machine, and the role its training jobs run with."""

    def __init__(self, scope: Construct, id: str, *, config: StageConfig, data: DataStack) -> None:
        super().__init__(scope, id, description="Wordsight: training")
        image = ContainerImage.train(self, config)
        role = self._execution_role(data)
        image.repository.grant_pull(role)
        job = create_training_job_state(
            self,
            config,
            image_uri=image.uri,
            role_arn=role.role_arn,
            models_s3_uri=data.artifacts.s3_url_for_object(MODELS_PREFIX),
            checkpoints_s3_uri=data.artifacts.s3_url_for_object(CHECKPOINTS_PREFIX),
        )
        self.rollout = Rollout(self, "Rollout", config=config, data=data)
        parts = Parts(
            job=job,
            snapshot=self._snapshot(config, data),
            gate=self._gate(config, data),
            promotion_machine=self.rollout.machine,
            dataset_s3_uris=tuple(data.data.s3_url_for_object(prefix) for prefix in TRAINING_PREFIXES),
        )
        self.machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_chainable(definition(self, config, parts)),
            role=self._machine_role(config, role, parts),
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=log_group(self, "StateMachineLogs", config),
                level=sfn.LogLevel.ALL,
                include_execution_data=True,
            ),
        )
        # Deleting the machine waits for its executions, and their jobs still need what the role's policy grants.
        self.machine.node.add_dependency(role)
        CfnOutput(self, "StateMachineArn", value=self.machine.state_machine_arn)

    def _execution_role(self, data: DataStack) -> ExecutionRole:
        role = ExecutionRole(
            self, "ExecutionRole", log_group_name=LOG_GROUP_NAME, metric_namespace="/aws/sagemaker/TrainingJobs"
        )
        role.allow_read(data.data, *TRAINING_PREFIXES)
        role.allow_read(data.artifacts, CHECKPOINTS_PREFIX, MODELS_PREFIX)  # models: to go on from one
        role.allow_write(data.artifacts, MODELS_PREFIX, CHECKPOINTS_PREFIX)
        return role

    def _snapshot(self, config: StageConfig, data: DataStack) -> HandlerFunction:
        """May read a dataset's annotations and write down what a training learns from."""
        function = HandlerFunction(
            self,
            "SnapshotFunction",
            config=config,
            module="snapshot",
            description="writes down what a training learns from",
            environment=SnapshotSettings(data_bucket=data.data.bucket_name).to_env(),
            timeout_s=SNAPSHOT_TIMEOUT_S,
        )
        function.allow_objects(data.data, ["s3:GetObject"], ANNOTATIONS_PREFIX)
        function.allow_objects(data.data, ["s3:PutObject"], SNAPSHOTS_PREFIX)
        function.allow_listing(data.data)
        return function

    def _gate(self, config: StageConfig, data: DataStack) -> HandlerFunction:
        """May read a checkpoint's figures, register it, ask for its promotion, and look at what is live."""
        function = HandlerFunction(
            self,
            "GateFunction",
            config=config,
            module="gate",
            description="judges and registers models",
            environment=GateSettings(
                artifacts_bucket=data.artifacts.bucket_name,
                serving_stack=config.serving_stack_name,
                git_revision=git_revision(),
            ).to_env(),
        )
        function.allow_objects(data.artifacts, ["s3:GetObject"], MODELS_PREFIX)
        function.allow_objects(data.artifacts, ["s3:PutObject"], REGISTRY_PREFIX, PROMOTIONS_PREFIX)
        function.allow_listing(data.artifacts)
        function.allow(["cloudformation:DescribeStacks"], serving_stack_arn(self, config))
        return function

    def _machine_role(self, config: StageConfig, execution_role: iam.IRole, parts: Parts) -> iam.Role:
        """Beside our functions, what `createTrainingJob.sync` needs: a raw state brings no permissions of its own.

        https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
        """
        role = iam.Role(self, "StateMachineRole", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        jobs = self.format_arn(service="sagemaker", resource="training-job", resource_name=f"{config.name}-*")
        rule = self.format_arn(
            service="events", resource="rule", resource_name="StepFunctionsGetEventsForSageMakerTrainingJobsRule"
        )
        for statement in (
            iam.PolicyStatement(
                actions=[
                    "sagemaker:CreateTrainingJob",
                    "sagemaker:DescribeTrainingJob",
                    "sagemaker:StopTrainingJob",
                    "sagemaker:AddTags",
                ],
                resources=[jobs],
            ),
            iam.PolicyStatement(actions=["sagemaker:ListTags"], resources=["*"]),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[execution_role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
            iam.PolicyStatement(
                actions=["events:PutTargets", "events:PutRule", "events:DescribeRule"], resources=[rule]
            ),
            iam.PolicyStatement(
                actions=["states:StartExecution"], resources=[parts.promotion_machine.state_machine_arn]
            ),
        ):
            role.add_to_policy(statement)
        allow_calls(role, [parts.snapshot, parts.gate])
        return role
