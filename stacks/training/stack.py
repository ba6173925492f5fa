"""Training: the image, the role and the state machine that runs one SageMaker training job per execution.

POST /trainings starts executions; a training job alone can be started by hand:

    aws stepfunctions start-execution --state-machine-arn … --name attempt-1 \\
        --input '{"dataset_s3_uri": "s3://<data bucket>/snapshots/<name>/", "hyperparameters": {"epochs": "5"}}'

CloudFormation knows no training job that it could create: the state machine is the definition of one. `hyperparameters`
may be left out. The job is called `wordsight-<stage>-<name>`: as its name may have 63 characters, letters, digits and
hyphens, an execution of `dev` may have 49 of them, and neither an underscore nor a hyphen at the end. Without --name it
is a UUID, which fits. The output is {"training_job_name", "artifact_s3_uri"}, and the URI is what `ModelUri` takes.
"""

import subprocess

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from contract.annotations import ANNOTATIONS_PREFIX
from contract.models import MODELS_PREFIX, PROMOTIONS_PREFIX, REGISTRY_PREFIX
from contract.progress import CHECKPOINTS_PREFIX
from contract.questions import TASKS_PREFIX
from contract.sources import COLLECTIONS_PREFIX
from contract.trainings import SNAPSHOTS_PREFIX
from lambdas.settings import GateSettings, SnapshotSettings
from stacks.config import TRAINING_JOBS_LOG_GROUP, StageConfig
from stacks.data import TRAINING_PREFIXES, DataStack
from stacks.handler_function import HandlerFunction
from stacks.images import REPOSITORY_ROOT, ContainerImage
from stacks.machine import Machine, machine_role
from stacks.permissions import ExecutionRole, Role
from stacks.training.definition import Definition, create_training_job
from stacks.training.rollout import promotion_machine
from stacks.training.teacher import teach_function

SNAPSHOT_TIMEOUT_S = 600
"""For some hundred thousand annotations, each an object of its own."""

GATE_TIMEOUT_S = 300
"""For a few files, from a bucket that may make it wait."""

UNKNOWN_REVISION = "unknown"


class TrainingStack(Stack):
    """The state machine of trainings, that of promotions, the role that training jobs run with, and the function that
    teaches without a training. `rollout` is the function that changes the serving stack.
    """

    def __init__(self, scope: Construct, id: str, *, config: StageConfig, data: DataStack) -> None:
        super().__init__(scope, id, description="Wordsight: training")
        image = ContainerImage.train(self, config)
        job_role = ExecutionRole(
            self,
            "ExecutionRole",
            log_group_name=TRAINING_JOBS_LOG_GROUP,
            log_streams=f"{config.name}-",
            metric_namespace="/aws/sagemaker/TrainingJobs",
        )
        job_role.allow_read(data.data, *TRAINING_PREFIXES)
        job_role.allow_objects(data.data, ["s3:GetObject"], COLLECTIONS_PREFIX)  # named one by one, in reference sets
        job_role.allow_read(data.artifacts, CHECKPOINTS_PREFIX, MODELS_PREFIX)  # models: to go on from one
        # An upload in parts that fails, as when the program replaces the file meanwhile, is taken back:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
        written = ["s3:PutObject", "s3:AbortMultipartUpload"]
        job_role.allow_objects(data.artifacts, written, MODELS_PREFIX, CHECKPOINTS_PREFIX)
        image.repository.grant_pull(job_role)
        self.teacher = teach_function(self, config, data)
        self.promotion_machine, self.rollout = promotion_machine(self, config, data, self.teacher)
        definition = Definition(
            scope=self,
            config=config,
            job=create_training_job(self, config, image.uri, job_role, data.artifacts),
            snapshot=self._snapshot(config, data),
            gate=self._gate(config, data),
            promotion_machine=self.promotion_machine,
            dataset_s3_uris=tuple(data.data.s3_url_for_object(prefix) for prefix in TRAINING_PREFIXES),
        )
        self.machine = Machine(
            self,
            "StateMachine",
            config=config,
            start=definition.start(),
            functions=[definition.snapshot, definition.gate],
            role=self._machine_role(config, job_role),
        )
        self.machine.node.add_dependency(job_role)  # for as long as executions wait for their jobs
        CfnOutput(self, "StateMachineArn", value=self.machine.state_machine_arn)

    def _snapshot(self, config: StageConfig, data: DataStack) -> HandlerFunction:
        """May read a dataset's annotations, saved tasks, and what the base's trainings have learnt from, and write down
        what a training learns from.
        """
        environment = SnapshotSettings(
            data_bucket=data.data.bucket_name, artifacts_bucket=data.artifacts.bucket_name
        ).to_env()
        does = "writes down what a training learns from"
        function = HandlerFunction(
            self, "SnapshotFunction", config, "snapshot", environment, does, timeout_s=SNAPSHOT_TIMEOUT_S
        )
        function.permissions.allow_objects(
            data.data, ["s3:GetObject"], ANNOTATIONS_PREFIX, SNAPSHOTS_PREFIX, TASKS_PREFIX
        )
        function.permissions.allow_objects(data.data, ["s3:PutObject"], SNAPSHOTS_PREFIX)
        function.permissions.allow_listing(data.data)
        function.permissions.allow_objects(data.artifacts, ["s3:GetObject"], REGISTRY_PREFIX)
        function.permissions.allow_listing(data.artifacts)
        return function

    def _gate(self, config: StageConfig, data: DataStack) -> HandlerFunction:
        """May read a checkpoint's figures, register it, ask for its promotion, and look at what is live."""
        environment = GateSettings(
            artifacts_bucket=data.artifacts.bucket_name,
            serving_stack=config.serving_stack_name,
            git_revision=git_revision(),
            commercial=config.commercial,
        ).to_env()
        does = "judges and registers models"
        function = HandlerFunction(self, "GateFunction", config, "gate", environment, does, timeout_s=GATE_TIMEOUT_S)
        function.permissions.allow_objects(data.artifacts, ["s3:GetObject"], MODELS_PREFIX)
        function.permissions.allow_objects(data.artifacts, ["s3:PutObject"], REGISTRY_PREFIX, PROMOTIONS_PREFIX)
        function.permissions.allow_listing(data.artifacts)
        function.permissions.allow_stack(config.serving_stack_name, "DescribeStacks")
        return function

    def _machine_role(self, config: StageConfig, job_role: iam.IRole) -> Role:
        """What `createTrainingJob.sync` needs: a raw state brings no permissions of its own.

        https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
        """
        role = machine_role(self, "StateMachine")
        verbs = ("CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob", "AddTags")
        role.allow(
            [f"sagemaker:{verb}" for verb in verbs],
            self.format_arn(service="sagemaker", resource="training-job", resource_name=f"{config.name}-*"),
            because="every execution names a job of its own; the prefix is this stage's",
        )
        role.allow(["sagemaker:ListTags"], "*")
        passed = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        role.allow(["iam:PassRole"], job_role.role_arn, conditions=passed)
        rule = "StepFunctionsGetEventsForSageMakerTrainingJobsRule"
        role.allow(
            ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
            self.format_arn(service="events", resource="rule", resource_name=rule),
        )
        role.allow(["states:StartExecution"], self.promotion_machine.state_machine_arn)
        return role


def git_revision() -> str:
    """The commit's 40 digits, with -dirty behind it if files differ from it; "unknown" for a copy without git."""
    command = ["git", "-C", str(REPOSITORY_ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - fixed words only
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN_REVISION
    return done.stdout.strip()
