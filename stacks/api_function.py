"""The functions behind the API, one per permission boundary: what each is told and exactly what it may do."""

from collections.abc import Callable
from dataclasses import dataclass

from constructs import Construct

from lambdas.routes import ROUTES
from lambdas.settings import ApiSettings
from model.contract import UPLOADS_PREFIX
from model.resources.idempotency import IDEMPOTENCY_PREFIX
from model.resources.tasks import TASKS_PREFIX
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import HandlerFunction
from stacks.serving import ServingStack

READ = ["s3:GetObject"]
KEEP = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]


@dataclass(frozen=True)
class Surroundings:
    """What the API's functions are built from: the stage and the stacks that they reach into."""

    config: StageConfig
    data: DataStack
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
    """May keep tasks and what was answered before, and take in uploads, which callers send with its signature."""
    function = HandlerFunction(
        scope,
        "AnnotateFunction",
        config=around.config,
        module="annotate",
        description="keeps tasks and annotations",
        environment=_settings(around).to_env(),
    )
    function.allow_objects(around.data.data, KEEP, TASKS_PREFIX, IDEMPOTENCY_PREFIX)
    function.allow_objects(around.data.data, ["s3:PutObject"], UPLOADS_PREFIX)
    function.allow_listing(around.data.data)
    return function


_BUILDERS: dict[str, Callable[[Construct, Surroundings], HandlerFunction]] = {
    "classify": _classify,
    "annotate": _annotate,
}


def _settings(around: Surroundings) -> ApiSettings:
    return ApiSettings(
        endpoint_name=around.serving.endpoint_name,
        data_bucket=around.data.data.bucket_name,
        cors_origins=around.config.cors_origins,
    )
