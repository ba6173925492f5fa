"""The API's function: POST /classify and /embed, GET /health, /openapi.json and the page.

API Gateway calls `handler` with every request of these routes. A request is parsed by the contract, its images are
read, the endpoint is invoked once, and the answer is arranged in the shape that was asked for.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.answers import Health
from contract.invocation import AnswerAttributes
from contract.requests import ClassifyRequest, Operation, parse_request
from contract.routes import CLASSIFY, EMBED, HEALTH, OPENAPI, PAGE
from lambdas.aws.clients import Connect, connect
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import infer
from lambdas.aws.s3 import Store
from lambdas.classify import openapi, page
from lambdas.settings import ClassifySettings
from lambdas.stored.images import read_images
from lambdas.stored.tasks import saved_questions
from lambdas.web.requests import body_of, query_of
from lambdas.web.resolver import attributes_of, create_resolver
from lambdas.web.responses import json_response, request_id_header

logger = Logger(service="wordsight-api", serialize_stacktrace=False)
metrics = Metrics(namespace="Wordsight", service="wordsight-api")


def create_app(settings: ClassifySettings, connect: Connect) -> APIGatewayRestResolver:
    """The routes, answering for one endpoint and one bucket."""
    app = create_resolver(settings.cors_origins, logger)
    endpoint = Endpoint(settings.endpoint_name, connect)
    store = Store(settings.data_bucket, connect)

    def answer(operation: Operation) -> Response[str]:
        event = app.current_event
        request = parse_request(event.headers.get("content-type"), body_of(event), query_of(event), operation=operation)
        if isinstance(request, ClassifyRequest) and (names := request.parameters.task_names):
            request = request.with_saved_tasks(saved_questions(store, names))
        images = read_images(request.images, settings.data_bucket, connect)
        attributes = attributes_of(app)
        body, beside = infer(request, images, lambda kind, data: endpoint.invoke(kind, data, attributes))
        _measure(endpoint.name, operation, len(images), beside)
        return json_response(app, body, beside.headers())

    @app.route(CLASSIFY.path, CLASSIFY.method)
    def _classify() -> Response[str]:
        return answer("classify")

    @app.route(EMBED.path, EMBED.method)
    def _embed() -> Response[str]:
        return answer("embed")

    @app.route(HEALTH.path, HEALTH.method)
    def _health() -> Response[str]:
        return json_response(app, Health(status=endpoint.status(), endpoint=endpoint.name))

    @app.route(OPENAPI.path, OPENAPI.method)
    def _openapi() -> Response[str]:
        return json_response(app, openapi.document())

    @app.route(PAGE.path, PAGE.method)
    def _page() -> Response[str]:
        return Response(
            200, "text/html; charset=utf-8", page.html(), {**page.security_headers(), **request_id_header(app)}
        )

    return app


def _measure(endpoint: str, operation: str, images: int, beside: AnswerAttributes) -> None:
    endpoint_ms = round(beside.timings_ms.get("endpoint", 0.0), 1)
    metrics.add_dimension("endpoint", endpoint)
    metrics.add_dimension("operation", operation)
    metrics.add_metric("EndpointTime", MetricUnit.Milliseconds, endpoint_ms)
    metrics.add_metric("Images", MetricUnit.Count, images)
    metrics.flush_metrics()
    logger.info(operation, images=images, endpoint_ms=endpoint_ms, model_version=beside.model_version)


@cache
def _app() -> APIGatewayRestResolver:
    return create_app(ClassifySettings.from_env(), connect)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one API Gateway proxy event."""
    return _app().resolve(event, context)
