"""The functions behind the API, one per permission boundary: what each is told and exactly what it may do."""

from aws_cdk import Stack
from constructs import Construct

from contract.annotations import ANNOTATIONS_PREFIX, IMAGES_PREFIX
from contract.batches import BATCHES_PREFIX
from contract.endpoint import ENDPOINT_PREFIX
from contract.idempotency import IDEMPOTENCY_PREFIX
from contract.images import THUMBNAILS_PREFIX
from contract.imports import IMPORTS_PREFIX
from contract.limits import UPLOADS_PREFIX
from contract.models import BROUGHT_PREFIX, MODELS_PREFIX, PROMOTIONS_PREFIX, REGISTRY_PREFIX
from contract.progress import CHECKPOINTS_PREFIX
from contract.questions import TASKS_PREFIX
from contract.routes import ASK_ROUTES
from contract.taught import EMBEDDINGS_PREFIX, HEADS_PREFIX, TAUGHT_PREFIX
from contract.trainings import TRAININGS_PREFIX
from lambdas.settings import AnnotateSettings, AuthorizeSettings, ClassifySettings, ManageSettings
from stacks.api.machines import batch_machine
from stacks.api.pauses import pause_machine
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from stacks.machine import Machine
from stacks.prices import USD_PER_HOUR
from stacks.serving.model import allow_asking, model_name
from stacks.training.stack import TrainingStack

READ = ["s3:GetObject"]
WRITE = ["s3:PutObject"]
KEEP = [*READ, *WRITE, "s3:DeleteObject"]


def classify_function(scope: Construct, config: StageConfig, data: DataStack) -> HandlerFunction:
    """May ask one endpoint and for its status, and read uploads, saved tasks and what these have learnt."""
    environment = _settings(scope, config, data).to_env()
    function = HandlerFunction(
        scope, "ClassifyFunction", config, "classify", environment, "answers questions about images"
    )
    may = function.permissions
    allow_asking(may, config, looking=True)
    may.allow_objects(data.data, READ, UPLOADS_PREFIX, TASKS_PREFIX, TAUGHT_PREFIX, HEADS_PREFIX, ENDPOINT_PREFIX)
    may.allow_listing(data.data)
    return function


def authorize_function(scope: Construct, config: StageConfig) -> HandlerFunction:
    """May do nothing: it reads the headers of a request."""
    environment = AuthorizeSettings(ask_routes=tuple(route.name for route in ASK_ROUTES)).to_env()
    return HandlerFunction(
        scope, "AuthorizeFunction", config, "authorize", environment, "finds the API key of a request"
    )


def annotate_function(
    scope: Construct,
    config: StageConfig,
    data: DataStack,
    training: TrainingStack,
    importing: Machine,
) -> HandlerFunction:
    """May keep tasks, annotations and what was answered before, have images looked at, handed out and forgotten, let
    tasks be taught and forget what they have learnt, start imports, and take in uploads, which callers send with its
    signature.
    """
    teacher, imports = training.teacher.function_arn, importing.state_machine_arn
    environment = AnnotateSettings(
        **dict(_settings(scope, config, data)), import_machine_arn=imports, teach_function_arn=teacher
    ).to_env()
    function = HandlerFunction(
        scope, "AnnotateFunction", config, "annotate", environment, "keeps tasks and annotations"
    )
    may = function.permissions
    may.allow_objects(data.data, KEEP, TASKS_PREFIX, IDEMPOTENCY_PREFIX, ANNOTATIONS_PREFIX)
    changed = (UPLOADS_PREFIX, IMPORTS_PREFIX, IMAGES_PREFIX, THUMBNAILS_PREFIX, TAUGHT_PREFIX)
    may.allow_objects(data.data, [*READ, *WRITE], *changed)
    may.allow_objects(data.data, READ, HEADS_PREFIX, ENDPOINT_PREFIX)
    may.allow_objects(data.data, WRITE, EMBEDDINGS_PREFIX)
    erased = (ANNOTATIONS_PREFIX, IMAGES_PREFIX, THUMBNAILS_PREFIX, EMBEDDINGS_PREFIX, HEADS_PREFIX, TAUGHT_PREFIX)
    may.allow_objects(data.data, ["s3:DeleteObjectVersion"], *erased)
    may.allow(["s3:ListBucket", "s3:ListBucketVersions"], data.data.bucket_arn)
    allow_asking(may, config)
    may.allow(["states:StartExecution"], imports)
    may.allow(["lambda:InvokeFunction"], teacher)
    return function


def manage_function(
    scope: Construct,
    config: StageConfig,
    data: DataStack,
    training: TrainingStack,
    importing: Machine,
) -> HandlerFunction:
    """May start and stop trainings, promotions and batches, pause the endpoint and bring it back, look at
    everything that tells how they are, and take in checkpoints, which callers send with its signature: into a folder of
    their own, never over another one.
    """
    trainings, promotions, batched = (
        training.machine,
        training.promotion_machine,
        batch_machine(scope, config, data),
    )
    pauses = pause_machine(scope, config, training, batched, importing)
    machines = (trainings, promotions, batched, pauses)
    environment = ManageSettings(
        cors_origins=config.cors_origins,
        data_bucket=data.data.bucket_name,
        artifacts_bucket=data.artifacts.bucket_name,
        serving_stack=config.serving_stack_name,
        training_machine_arn=trainings.state_machine_arn,
        promotion_machine_arn=promotions.state_machine_arn,
        batch_machine_arn=batched.state_machine_arn,
        import_machine_arn=importing.state_machine_arn,
        pause_machine_arn=pauses.state_machine_arn,
        job_name_prefix=f"{config.name}-",
        max_run_s=config.max_run_s,
        max_wait_s=config.max_wait_s,
        spot=config.spot,
        endpoint_name=model_name(scope, config),
        commercial=config.commercial,
        endpoint_usd_per_hour=config.endpoint_usd_per_hour or 0.0,
        usd_per_hour=USD_PER_HOUR.get(config.training_instance_type, 0.0) * config.training_instance_count,
        training_machines=config.training_instance_count,
        training_images_per_s=config.training_images_per_s * config.training_instance_count,
        max_parallel_trainings=config.max_parallel_trainings,
        max_training_usd_per_month=config.max_training_usd_per_month,
    ).to_env()
    # The id is from when it knew trainings only: with another one, deployed stages would get a new function and role.
    function = HandlerFunction(
        scope, "TrainFunction", config, "manage", environment, "starts trainings, promotions, batches and pauses"
    )
    may = function.permissions
    may.allow_objects(data.data, KEEP, IDEMPOTENCY_PREFIX)
    may.allow_objects(data.data, [*READ, *WRITE], TRAININGS_PREFIX, BATCHES_PREFIX, ENDPOINT_PREFIX)
    may.allow_objects(data.data, READ, TASKS_PREFIX, TAUGHT_PREFIX, HEADS_PREFIX, ANNOTATIONS_PREFIX)
    may.allow_listing(data.data)
    may.allow_objects(data.artifacts, READ, MODELS_PREFIX, REGISTRY_PREFIX, PROMOTIONS_PREFIX, CHECKPOINTS_PREFIX)
    may.allow_objects(data.artifacts, WRITE, REGISTRY_PREFIX, PROMOTIONS_PREFIX, BROUGHT_PREFIX)
    may.allow_listing(data.artifacts)
    jobs = Stack.of(scope).format_arn(service="sagemaker", resource="training-job", resource_name=f"{config.name}-*")
    named = (
        "every training, promotion, batch and pause has a name of its own; the prefix and the machines are this stage's"
    )
    may.allow(["sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"], jobs, because=named)
    may.allow(["states:StartExecution"], *(machine.state_machine_arn for machine in machines))
    may.allow(["states:DescribeExecution"], *(machine.executions_arn for machine in machines), because=named)
    may.allow(["states:StopExecution"], trainings.executions_arn, batched.executions_arn, because=named)
    at_work = (promotions, batched, importing)
    may.allow(["states:ListExecutions"], *(machine.state_machine_arn for machine in at_work))
    may.allow_stack(config.serving_stack_name, "DescribeStacks")
    allow_asking(may, config)
    return function


def _settings(scope: Construct, config: StageConfig, data: DataStack) -> ClassifySettings:
    return ClassifySettings(
        endpoint_name=model_name(scope, config), data_bucket=data.data.bucket_name, cors_origins=config.cors_origins
    )
