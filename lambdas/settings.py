"""The environment of the Lambdas: every name written once, read once, never looked up elsewhere."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from contract.settings import Allowed, Origins, Settings, Switch, Words

PROCESS = {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""What every function's process is told beside its settings: to look for no plugins of pydantic's among all that is
installed, as its first model would, for a hundredth of a second of every cold start.
https://pydantic.dev/docs/validation/latest/concepts/plugins/
"""


class Variables(Settings):
    """What a function needs to know, as its environment variables."""

    @classmethod
    def _sentence(cls, fault: Mapping[str, Any], values: Mapping[str, Any]) -> str:
        name = fault["loc"][0]
        if fault["type"] == "missing":
            return f"the environment variable {name} is missing or empty: set it to {cls._allowed(name)}"
        return f"the environment variable {name} is {fault['input']!r}, allowed is {cls._allowed(name)}"


# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BucketName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"), Allowed("the name of an S3 bucket")]
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
_VariantName = Annotated[
    str, Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$"), Allowed("letters, digits and hyphens, at most 63")
]
_Model = Annotated[
    str,
    Field(pattern=r"^([a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}|arn:[^:]+:lambda:[^:]+:\d{12}:function:[a-zA-Z0-9-]{1,63})$"),
    Allowed("the name of an endpoint (letters, digits and hyphens, at most 63), or the ARN of a Lambda function"),
]
"""Who answers for the model."""
_StackName = Annotated[
    str, Field(pattern=r"^[a-zA-Z][-a-zA-Z0-9]{0,127}$"), Allowed("the name of a CloudFormation stack")
]
_RoleArn = Annotated[str, Field(pattern=r"^arn:[^:]+:iam::\d{12}:role/.+$"), Allowed("the ARN of a role")]
_MachineArn = Annotated[
    str, Field(pattern=r"^arn:[^:]+:states:[^:]+:\d{12}:stateMachine:.+$"), Allowed("the ARN of a state machine")
]
_FunctionArn = Annotated[
    str, Field(pattern=r"^arn:[^:]+:lambda:[^:]+:\d{12}:function:.+$"), Allowed("the ARN of a Lambda function")
]
_JobNamePrefix = Annotated[str, Field(pattern="^[a-z][a-z0-9-]{1,40}-$"), Allowed("what all jobs are called first")]
_Commit = Annotated[str, Field(pattern="^([0-9a-f]{40}(-dirty)?|unknown)$"), Allowed("a commit, or unknown")]
_Seconds = Annotated[int, Field(ge=1, lt=10**9), Allowed("whole seconds")]
_Usd = Annotated[
    float, Field(ge=0, allow_inf_nan=False), Allowed("what machines cost in an hour, 0 if that is not known")
]
_Machines = Annotated[int, Field(ge=1), Allowed("how many machines share a training")]
_Trainings = Annotated[int, Field(ge=1), Allowed("how many trainings may run at once")]
_Limit = Annotated[float, Field(ge=0, allow_inf_nan=False), Allowed("USD, 0 for no limit")]
_ImagesPerS = Annotated[
    float, Field(gt=0, allow_inf_nan=False), Allowed("how many images a second they are assumed to train on")
]
_AskRoutes = Annotated[Words, Allowed("routes such as GET /tasks/{task}, separated by commas")]
_CorsOrigins = Annotated[Origins, Allowed("* or origins such as https://example.com, no path")]


class _Routes(Variables):
    """What every function that answers routes of the API needs to know."""

    cors_origins: _CorsOrigins = Field((), alias="CORS_ORIGINS", description="None: no other site may call the API")


class _Images(Variables):
    """What every function needs to know that shows images to the model: its endpoint, and where images are stored."""

    endpoint_name: _Model = Field(alias="ENDPOINT_NAME")
    data_bucket: _BucketName = Field(alias="DATA_BUCKET")


class _Models(Variables):
    """What every function needs to know that has to do with models: where they are, and which stack serves one."""

    artifacts_bucket: _BucketName = Field(alias="ARTIFACTS_BUCKET")
    serving_stack: _StackName = Field(alias="SERVING_STACK")


class _Licences(_Models):
    """What every function needs to know that lets models in."""

    commercial: Annotated[Switch, Allowed("True or False")] = Field(
        False, alias="COMMERCIAL", description="Refuse models whose licence allows no commercial use"
    )


class AuthorizeSettings(Variables):
    """What the function needs to know that finds the key of a request."""

    ask_routes: _AskRoutes = Field(alias="ASK_ROUTES", description="What a key may call that may only ask")


class ClassifySettings(_Routes, _Images):
    """What the function needs to know that asks the model: its endpoint, and where saved tasks and images are."""


class _Teaches(Variables):
    """What every function needs to know after whose work tasks are taught."""

    teach_function_arn: _FunctionArn = Field(alias="TEACH_FUNCTION_ARN")


class AnnotateSettings(_Routes, _Images, _Teaches):
    """What the function needs to know that keeps annotations: also the machine that imports many."""

    import_machine_arn: _MachineArn = Field(alias="IMPORT_MACHINE_ARN")


class ManageSettings(_Routes, _Licences):
    """What the function needs to know that starts trainings, promotions and batches: their machines, and limits."""

    data_bucket: _BucketName = Field(alias="DATA_BUCKET")
    training_machine_arn: _MachineArn = Field(alias="TRAINING_MACHINE_ARN")
    promotion_machine_arn: _MachineArn = Field(alias="PROMOTION_MACHINE_ARN")
    batch_machine_arn: _MachineArn = Field(alias="BATCH_MACHINE_ARN")
    import_machine_arn: _MachineArn = Field(alias="IMPORT_MACHINE_ARN", description="Of which it asks what runs")
    pause_machine_arn: _MachineArn = Field(alias="PAUSE_MACHINE_ARN")
    job_name_prefix: _JobNamePrefix = Field(alias="JOB_NAME_PREFIX")
    max_run_s: _Seconds = Field(alias="MAX_RUN_S")
    max_wait_s: _Seconds = Field(alias="MAX_WAIT_S")
    spot: Annotated[Switch, Allowed("True or False")] = Field(alias="SPOT")
    usd_per_hour: _Usd = Field(alias="USD_PER_HOUR")
    endpoint_usd_per_hour: _Usd = Field(alias="ENDPOINT_USD_PER_HOUR")
    training_machines: _Machines = Field(alias="TRAINING_MACHINES")
    training_images_per_s: _ImagesPerS = Field(alias="TRAINING_IMAGES_PER_S")
    max_parallel_trainings: _Trainings = Field(alias="MAX_PARALLEL_TRAININGS")
    max_training_usd_per_month: _Limit = Field(alias="MAX_TRAINING_USD_PER_MONTH", description="0: no limit")
    endpoint_name: _Model = Field(alias="ENDPOINT_NAME", description="Tells what the base knows")


class ImporterSettings(_Images, _Teaches):
    """What the worker of imports needs to know."""


class TeachSettings(_Images):
    """What the function needs to know that teaches saved tasks."""


class BatchSettings(_Images):
    """What the worker of batches needs to know."""


class SnapshotSettings(Variables):
    """What the function needs to know that writes down what a training learns from."""

    data_bucket: _BucketName = Field(alias="DATA_BUCKET")
    artifacts_bucket: _BucketName = Field(alias="ARTIFACTS_BUCKET")


class GateSettings(_Licences):
    """What the function needs to know that judges and registers models."""

    git_revision: _Commit = Field(alias="GIT_REVISION")


class BudgetSettings(Variables):
    """What the function needs to know that pauses a stage whose budget is spent."""

    pause_machine_arn: _MachineArn = Field(alias="PAUSE_MACHINE_ARN")


class RolloutSettings(_Models):
    """What the function needs to know that takes the steps of a promotion and of a pause."""

    endpoint_name: _Model = Field(alias="ENDPOINT_NAME")
    variant_name: _VariantName = Field(alias="VARIANT_NAME")
    data_bucket: _BucketName = Field(alias="DATA_BUCKET")
    pause_after_idle_min: Annotated[int, Field(ge=0, le=10_000), Allowed("whole minutes, 0 for never")] = Field(
        0, alias="PAUSE_AFTER_IDLE_MIN"
    )
    update_role_arn: _RoleArn = Field(alias="UPDATE_ROLE_ARN", description="With it CloudFormation updates the stack")
