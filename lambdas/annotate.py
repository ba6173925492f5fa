"""The function that keeps what users give: saved tasks and uploads.

API Gateway calls `handler` with every request of these routes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clients import Connect, connect
from lambdas.presign import add_upload_routes
from lambdas.responses import create_resolver
from lambdas.settings import ApiSettings
from lambdas.store import Store
from lambdas.tasks import add_task_routes

logger = Logger(service="wordsight-annotate", serialize_stacktrace=False)


def create_app(settings: ApiSettings, connect: Connect) -> APIGatewayRestResolver:
    """The routes, over one bucket."""
    app = create_resolver(settings.cors_origins, logger)
    store = Store(settings.data_bucket, connect)
    add_task_routes(app, store)
    add_upload_routes(app, store, connect)
    return app


@cache
def _app() -> APIGatewayRestResolver:
    return create_app(ApiSettings.from_env(), connect)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one API Gateway proxy event."""
    return _app().resolve(event, context)
