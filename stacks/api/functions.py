"""The functions behind the API, one per permission boundary: what each is told and exactly what it may do."""

from collections.abc import Callable
from dataclasses import dataclass

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.annotations import ANNOTATIONS_PREFIX, IMAGES_PREFIX
from contract.batches import BATCHES_PREFIX
from contract.idempotency import IDEMPOTENCY_PREFIX
from contract.imports import IMPORTS_PREFIX
from contract.limits import UPLOADS_PREFIX
from contract.models import MODELS_PREFIX, PROMOTIONS_PREFIX, REGISTRY_PREFIX
from contract.routes import ROUTES
from contract.tasks import TASKS_PREFIX
from contract.trainings import TRAININGS_PREFIX
from lambdas.settings import AnnotateSettings, ClassifySettings, ManageSettings
from stacks.api.batches import Batches
from stacks.api.imports import Imports
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from stacks.serving.stack import ServingStack
from stacks.training.rollout import serving_stack_arn
from stacks.training.stack import TrainingStack

READ = ["s3:GetObject"]
KEEP = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]


@dataclass(frozen=True)
class Surroundings:
    """What the API's functions are built from: the stage and the stacks that they reach into."""

    config: StageConfig
    data: DataStack
    training: TrainingStack
    serving: ServingStack


def api_functions(scope: Construct, around: Surroundings) -> dict[str, HandlerFunction]:
    """The function of every module that a route names, by that name."""
    return {module: _BUILDERS[module](scope, around) for module in sorted({route.function for route in ROUTES})}


def _classify(scope: Construct, around: Surroundings) -> HandlerFunction:
    """May ask one endpoint and for its status, and read uploads and saved tasks."""
    function = HandlerFunction(
        scope,
        "ClassifyFunction",
        config=around.config,
        module="classify",
        description="answers questions about images",
        environment=_settings(around).to_env(),
    )
    function.allow(["sagemaker:InvokeEndpoint", "sagemaker:DescribeEndpoint"], around.serving.endpoint_arn)
    function.allow_objects(around.data.data, READ, UPLOADS_PREFIX, TASKS_PREFIX)
    function.allow_listing(around.data.data)
    return function


def _annotate(scope: Construct, around: Surroundings) -> HandlerFunction:
    """May keep tasks, annotations and what was answered before, have images looked at and forget them, start imports,
    and take in uploads, which callers send with its signature.
    """
    data = around.data.data
    imports = Imports(scope, "Imports", config=around.config, data=around.data, serving=around.serving)
    function = HandlerFunction(
        scope,
        "AnnotateFunction",
        config=around.config,
        module="annotate",
        description="keeps tasks and annotations",
        environment=AnnotateSettings(
            **dict(_settings(around)), import_machine_arn=imports.machine.state_machine_arn
        ).to_env(),
    )
    function.allow_objects(data, KEEP, TASKS_PREFIX, IDEMPOTENCY_PREFIX, ANNOTATIONS_PREFIX)
    function.allow_objects(data, ["s3:GetObject", "s3:PutObject"], UPLOADS_PREFIX, IMPORTS_PREFIX)
    function.allow_objects(data, ["s3:PutObject"], IMAGES_PREFIX)
    function.allow_objects(data, ["s3:DeleteObjectVersion"], ANNOTATIONS_PREFIX, IMAGES_PREFIX)
    function.allow(["s3:ListBucket", "s3:ListBucketVersions"], data.bucket_arn)
    function.allow(["sagemaker:InvokeEndpoint"], around.serving.endpoint_arn)
    function.allow(["states:StartExecution"], imports.machine.state_machine_arn)
    return function


def _manage(scope: Construct, around: Surroundings) -> HandlerFunction:
    """May start and stop trainings, promotions and batches, and look at everything that tells how they are."""
    config, data = around.config, around.data
    batches = Batches(scope, "Batches", config=config, data=data, serving=around.serving)
    machines = (around.training.machine, around.training.rollout.machine, batches.machine)
    function = HandlerFunction(
        scope,
        "TrainFunction",
        config=config,
        module="manage",
        description="starts trainings, promotions and batches",
        environment=ManageSettings(
            cors_origins=config.cors_origins,
            data_bucket=data.data.bucket_name,
            artifacts_bucket=data.artifacts.bucket_name,
            serving_stack=config.serving_stack_name,
            training_machine_arn=machines[0].state_machine_arn,
            promotion_machine_arn=machines[1].state_machine_arn,
            batch_machine_arn=machines[2].state_machine_arn,
            job_name_prefix=f"{config.name}-",
            max_run_s=config.max_run_s,
            max_wait_s=config.max_wait_s,
            spot=config.spot,
            usd_per_hour=config.training_usd_per_hour,
        ).to_env(),
    )
    function.allow_objects(data.data, KEEP, IDEMPOTENCY_PREFIX)
    function.allow_objects(data.data, ["s3:GetObject", "s3:PutObject"], TRAININGS_PREFIX, BATCHES_PREFIX)
    function.allow_objects(data.data, READ, TASKS_PREFIX)
    function.allow_listing(data.data)
    function.allow_objects(data.artifacts, READ, MODELS_PREFIX, REGISTRY_PREFIX, PROMOTIONS_PREFIX)
    function.allow_objects(data.artifacts, ["s3:PutObject"], REGISTRY_PREFIX, PROMOTIONS_PREFIX)
    function.allow_listing(data.artifacts)
    stack = Stack.of(scope)
    jobs = stack.format_arn(service="sagemaker", resource="training-job", resource_name=f"{config.name}-*")
    function.allow(["sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"], jobs)
    function.allow(["states:StartExecution"], *(machine.state_machine_arn for machine in machines))
    trainings, promotions, batched = (_executions_of(machine, stack) for machine in machines)
    function.allow(["states:DescribeExecution"], trainings, promotions, batched)
    function.allow(["states:StopExecution"], trainings, batched)
    function.allow(["cloudformation:DescribeStacks"], serving_stack_arn(scope, config))
    return function


def _executions_of(machine: sfn.StateMachine, stack: Stack) -> str:
    """The ARN pattern of a machine's executions."""
    return stack.format_arn(
        service="states",
        resource="execution",
        resource_name=f"{machine.state_machine_name}:*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


_BUILDERS: dict[str, Callable[[Construct, Surroundings], HandlerFunction]] = {
    "classify": _classify,
    "annotate": _annotate,
    "manage": _manage,
}


def _settings(around: Surroundings) -> ClassifySettings:
    return ClassifySettings(
        endpoint_name=around.serving.endpoint_name,
        data_bucket=around.data.data.bucket_name,
        cors_origins=around.config.cors_origins,
    )
