"""The API's function: POST /classify and /embed, GET /health, /openapi.json and the page.

API Gateway calls `handler` with every request of these routes. A request is parsed by the contract, its images are
read, the endpoint is invoked once, and the answer is arranged in the shape that was asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.metrics import MetricUnit

from contract.answers import Health
from contract.invocation import AnswerAttributes
from contract.limits import TASK_VERSION_HEADER
from contract.requests import ClassifyRequest, Operation, parse_request
from contract.routes import CLASSIFY, EMBED, HEALTH, OPENAPI, PAGE
from lambdas.aws.clients import Connect, connect
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import infer, infer_taught
from lambdas.aws.s3 import Store
from lambdas.classify import page
from lambdas.settings import ClassifySettings
from lambdas.stored.endpoint import endpoint_of
from lambdas.stored.images import read_images
from lambdas.stored.tasks import head_reader, saved_tasks, shas_of, versions, with_tasks
from lambdas.web.resolver import Resolver, handler_of

logger = Logger(service="wordsight-api", serialize_stacktrace=False)
metrics = Metrics(namespace="Wordsight", service="wordsight-api")


def create_app(settings: ClassifySettings, connect: Connect) -> Resolver:
    """The routes, answering for one endpoint and one bucket."""
    app = Resolver(settings.cors_origins, logger)
    store = Store(settings.data_bucket, connect)
    endpoint = endpoint_of(settings.endpoint_name, store, connect)

    def answer(operation: Operation) -> Response[str]:
        request = parse_request(app.content_type, app.body, app.query, operation=operation)
        if isinstance(request, ClassifyRequest) and request.parameters.task:
            return answer_tasks(request)
        images = read_images(request.images, store, endpoint.max_image_bytes)
        return answered(operation, images, *infer(request, images, endpoint, app.invocation_attributes))

    def answer_tasks(request: ClassifyRequest) -> Response[str]:
        tasks = saved_tasks(store, request.parameters)
        parameters, heads = with_tasks(request.parameters, tasks)
        request = replace(request, parameters=parameters, heads=shas_of(heads))
        images = read_images(request.images, store, endpoint.max_image_bytes)
        read_head = head_reader(store, heads.values())
        body, beside = infer_taught(request, images, endpoint, app.invocation_attributes, read_head)
        return answered("classify", images, body, beside, {TASK_VERSION_HEADER: versions(tasks, beside.heads)})

    def answered(
        operation: str, images: Sequence[object], body: Any, beside: AnswerAttributes, also: Mapping[str, str] = {}
    ) -> Response[str]:
        _measure(endpoint.name, operation, len(images), beside)
        return app.answer(body, headers={**beside.headers(), **also})

    app.on(CLASSIFY)(lambda: answer("classify"))
    app.on(EMBED)(lambda: answer("embed"))
    app.answers(HEALTH, lambda: _health(endpoint))

    @app.on(OPENAPI)
    def _openapi() -> Response[str]:
        from lambdas.classify.openapi import document  # all models of all functions, which nothing else needs

        return app.answer(document())

    @app.on(PAGE)
    def _page() -> Response[str]:
        return app.respond(page.html(), "text/html; charset=utf-8", 200, page.security_headers())

    return app


def _health(endpoint: Endpoint) -> Health:
    status, cards = endpoint.status(), endpoint.cards()
    card = cards.served if cards else None
    return Health(
        status=status,
        endpoint=endpoint.name,
        knows=card.knows if card else None,
        languages=card.languages if card else None,
        licence=card.licence if card else None,
    )


def _measure(endpoint: str, operation: str, images: int, beside: AnswerAttributes) -> None:
    endpoint_ms = round(beside.timings_ms.get("endpoint", 0.0), 1)
    metrics.add_dimension("endpoint", endpoint)
    metrics.add_dimension("operation", operation)
    metrics.add_metric("EndpointTime", MetricUnit.Milliseconds, endpoint_ms)
    metrics.add_metric("Images", MetricUnit.Count, images)
    metrics.flush_metrics()
    logger.info(operation, images=images, endpoint_ms=endpoint_ms, model_version=beside.model_version)


handler = handler_of(logger, lambda: create_app(ClassifySettings.from_env(), connect))
