"""The function that keeps what users give: saved tasks, uploads and annotations.

API Gateway calls `handler` with every request of these routes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.annotations import add_annotation_routes
from lambdas.clients import Connect, connect
from lambdas.endpoint import Endpoint
from lambdas.executions import Executions
from lambdas.imports import add_import_routes
from lambdas.presign import add_upload_routes
from lambdas.responses import create_resolver
from lambdas.settings import AnnotateSettings
from lambdas.store import Store
from lambdas.tasks import add_task_routes

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
