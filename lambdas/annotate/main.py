"""The function that keeps what users give: saved tasks, uploads and annotations.

API Gateway calls `handler` with every request of these routes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.annotate.annotations import add_annotation_routes
from lambdas.annotate.imports import add_import_routes
from lambdas.annotate.tasks import add_task_routes
from lambdas.annotate.uploads import add_upload_routes
from lambdas.aws.clients import Connect, connect
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.executions import Executions
from lambdas.aws.s3 import Store
from lambdas.settings import AnnotateSettings
from lambdas.web.resolver import create_resolver

logger = Logger(service="wordsight-annotate", serialize_stacktrace=False)


def create_app(settings: AnnotateSettings, connect: Connect) -> APIGatewayRestResolver:
    """The routes, over one bucket; one endpoint looks at images before they are kept."""
    app = create_resolver(settings.cors_origins, logger)
    store = Store(settings.data_bucket, connect)
    add_task_routes(app, store)
    add_upload_routes(app, store, connect)
    add_annotation_routes(app, store, connect, Endpoint(settings.endpoint_name, connect))
    add_import_routes(app, store, Executions(settings.import_machine_arn, connect))
    return app


@cache
def _app() -> APIGatewayRestResolver:
    return create_app(AnnotateSettings.from_env(), connect)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one API Gateway proxy event."""
    return _app().resolve(event, context)
