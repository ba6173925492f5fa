"""The API's function: POST /classify and /embed, GET /health, /openapi.json and the page.

API Gateway calls `handler` with every request of these routes. A request is parsed by the contract, its images are
read, the endpoint is invoked once, and the answer is arranged in the shape that was asked for.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas import openapi, page
from lambdas.clients import Connect, connect
from lambdas.endpoint import Endpoint
from lambdas.invocation import infer
from lambdas.problems import answer_problems
from lambdas.routes import CLASSIFY, EMBED, HEALTH, OPENAPI, PAGE
from lambdas.settings import ApiSettings
from lambdas.uploads import read_images
from model.contract import (
    EXPOSED_HEADERS,
    MAX_ANSWER_BYTES,
    REQUEST_ID_HEADER,
    SDK_CONNECT_TIMEOUT_S,
    SDK_READ_TIMEOUT_S,
    AnswerAttributes,
    BadRequest,
    Health,
    InvocationAttributes,
    Operation,
    parse_request,
)

ANSWERING_MS = 500
"""What the function keeps for itself to hand an answer on."""

logger = Logger(service="wordsight-api", serialize_stacktrace=False)
metrics = Metrics(namespace="Wordsight", service="wordsight-api")


def create_app(settings: ApiSettings, connect: Connect) -> APIGatewayRestResolver:
    """The routes, answering for one endpoint and one bucket."""
    app = APIGatewayRestResolver(cors=_cors(settings.cors_origins))
    endpoint = Endpoint(settings.endpoint_name, connect)
    answer_problems(app, logger)

    def answer(operation: Operation) -> Response[str]:
        event = app.current_event
        request = parse_request(event.headers.get("content-type"), _body(event), _query(event), operation=operation)
        images = read_images(request.images, settings.data_bucket, connect)
        attributes = InvocationAttributes(
            event.request_context.request_id or "", _deadline_epoch_ms(app.lambda_context)
        )
        body, beside = infer(request, images, lambda kind, data: endpoint.invoke(kind, data, attributes))
        _measure(endpoint.name, operation, len(images), beside)
        return _json(app, body, beside)

    @app.route(CLASSIFY.path, CLASSIFY.method)
    def _classify() -> Response[str]:
        return answer("classify")

    @app.route(EMBED.path, EMBED.method)
    def _embed() -> Response[str]:
        return answer("embed")

    @app.route(HEALTH.path, HEALTH.method)
    def _health() -> Response[str]:
        return _json(app, Health(status=endpoint.status(), endpoint=endpoint.name))

    @app.route(OPENAPI.path, OPENAPI.method)
    def _openapi() -> Response[str]:
        return _json(app, openapi.document())

    @app.route(PAGE.path, PAGE.method)
    def _page() -> Response[str]:
        return Response(200, "text/html; charset=utf-8", page.html(), {**page.security_headers(), **_request_id(app)})

    return app


def _cors(origins: Sequence[str]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(origins[0], extra_origins=list(origins[1:]), expose_headers=list(EXPOSED_HEADERS), max_age=3600)


def _body(event: APIGatewayProxyEvent) -> bytes:
    """API Gateway hands binary media types over as base64 and everything else as text."""
    body = event.body or ""
    return base64.b64decode(body) if event.is_base64_encoded else body.encode()


def _query(event: APIGatewayProxyEvent) -> Mapping[str, Sequence[str]]:
    single = event.query_string_parameters or {}
    return event.multi_value_query_string_parameters or {name: [value] for name, value in single.items()}


def _deadline_epoch_ms(context: LambdaContext) -> int:
    """When the SDK stops listening, or shortly before the function is stopped if that comes first."""
    left_ms = context.get_remaining_time_in_millis() - ANSWERING_MS
    left_ms = min(left_ms, 1000 * (SDK_CONNECT_TIMEOUT_S + SDK_READ_TIMEOUT_S))
    return int(time.time() * 1000) + left_ms


def _measure(endpoint: str, operation: str, images: int, beside: AnswerAttributes) -> None:
    endpoint_ms = round(beside.timings_ms.get("endpoint", 0.0), 1)
    metrics.add_dimension("endpoint", endpoint)
    metrics.add_dimension("operation", operation)
    metrics.add_metric("EndpointTime", MetricUnit.Milliseconds, endpoint_ms)
    metrics.add_metric("Images", MetricUnit.Count, images)
    metrics.flush_metrics()
    logger.info(operation, images=images, endpoint_ms=endpoint_ms, model_version=beside.model_version)


def _json(app: APIGatewayRestResolver, body: Any, beside: AnswerAttributes | None = None) -> Response[str]:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    # The runtime puts the text into JSON once more, and may write a character beyond ASCII as six.
    size_bytes = len(json.dumps(text))
    if size_bytes > MAX_ANSWER_BYTES:
        raise BadRequest(
            f"the answer would be {size_bytes:,} bytes, at most {MAX_ANSWER_BYTES:,} can be returned: "
            "set top_k, or ask for fewer images, labels or texts"
        )
    headers = {**_request_id(app), **(beside or AnswerAttributes()).headers()}
    return Response(200, "application/json", text, headers)


def _request_id(app: APIGatewayRestResolver) -> dict[str, str | list[str]]:
    return {REQUEST_ID_HEADER: app.current_event.request_context.request_id or ""}


@cache
def _app() -> APIGatewayRestResolver:
    return create_app(ApiSettings.from_env(), connect)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one API Gateway proxy event."""
    return _app().resolve(event, context)
