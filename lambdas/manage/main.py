"""The function that teaches: trainings, the models they make, which of them is live, and batches for it.

API Gateway calls `handler` with every request of these routes. What takes long is done by state machines.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.batches import MAX_LISTED_BATCHES, BatchBody
from contract.models import ImportBody, PromoteBody
from contract.routes import (
    ADD_MODEL,
    GET_BATCH,
    GET_MODEL,
    GET_TRAINING,
    LIST_BATCHES,
    LIST_MODELS,
    LIST_TRAININGS,
    PROMOTE_MODEL,
    RESUME_BATCH,
    START_BATCH,
    START_TRAINING,
    STOP_BATCH,
    STOP_TRAINING,
)
from contract.trainings import MAX_LISTED_TRAININGS, TrainingBody
from contract.validation import parse_json
from lambdas.aws.clients import Connect, connect
from lambdas.aws.s3 import Store
from lambdas.manage.batches import Batches
from lambdas.manage.models import Models
from lambdas.manage.trainings import Trainings
from lambdas.settings import ManageSettings
from lambdas.web.idempotency import once
from lambdas.web.requests import body_of, page_of, query_of
from lambdas.web.resolver import create_resolver
from lambdas.web.responses import json_response

logger = Logger(service="wordsight-train", serialize_stacktrace=False)


def create_app(settings: ManageSettings, connect: Connect) -> APIGatewayRestResolver:
    """The routes, for one stage."""
    app = create_resolver(settings.cors_origins, logger)
    data = Store(settings.data_bucket, connect)
    _add_training_routes(app, data, Trainings(settings, connect))
    _add_model_routes(app, data, Models(settings, connect))
    _add_batch_routes(app, data, Batches(settings, connect))
    return app


def _add_training_routes(app: APIGatewayRestResolver, data: Store, trainings: Trainings) -> None:
    @app.route(START_TRAINING.rule, START_TRAINING.method)
    def _start() -> Response[str]:
        event = app.current_event
        body = parse_json(TrainingBody, event.headers.get("content-type"), body_of(event))
        return once(app, data, lambda id: json_response(app, trainings.begin(id, body).model_dump(), status=202))

    @app.route(LIST_TRAININGS.rule, LIST_TRAININGS.method)
    def _list() -> Response[str]:
        limit, after = page_of(query_of(app.current_event), MAX_LISTED_TRAININGS)
        return json_response(app, trainings.page(limit, after).model_dump())

    @app.route(GET_TRAINING.rule, GET_TRAINING.method)
    def _get(training: str) -> Response[str]:
        return json_response(app, trainings.get(training).model_dump())

    @app.route(STOP_TRAINING.rule, STOP_TRAINING.method)
    def _stop(training: str) -> Response[str]:
        return json_response(app, trainings.stop(training).model_dump())


def _add_model_routes(app: APIGatewayRestResolver, data: Store, models: Models) -> None:
    @app.route(LIST_MODELS.rule, LIST_MODELS.method)
    def _list() -> Response[str]:
        return json_response(app, models.all().model_dump())

    @app.route(GET_MODEL.rule, GET_MODEL.method)
    def _get(version: str) -> Response[str]:
        return json_response(app, models.get(version).model_dump())

    @app.route(ADD_MODEL.rule, ADD_MODEL.method)
    def _add() -> Response[str]:
        event = app.current_event
        body = parse_json(ImportBody, event.headers.get("content-type"), body_of(event))
        return once(app, data, lambda _: json_response(app, models.add(body).model_dump(), status=201))

    @app.route(PROMOTE_MODEL.rule, PROMOTE_MODEL.method)
    def _promote(version: str) -> Response[str]:
        event = app.current_event
        content = body_of(event)
        body = parse_json(PromoteBody, event.headers.get("content-type"), content) if content else PromoteBody()

        def promote(id: str) -> Response[str]:
            return json_response(app, models.promote(id, version, force=body.force).model_dump(), status=202)

        return once(app, data, promote)


def _add_batch_routes(app: APIGatewayRestResolver, data: Store, batches: Batches) -> None:
    @app.route(START_BATCH.rule, START_BATCH.method)
    def _start() -> Response[str]:
        event = app.current_event
        body = parse_json(BatchBody, event.headers.get("content-type"), body_of(event))
        return once(app, data, lambda id: json_response(app, batches.begin(id, body).model_dump(), status=202))

    @app.route(LIST_BATCHES.rule, LIST_BATCHES.method)
    def _list() -> Response[str]:
        limit, after = page_of(query_of(app.current_event), MAX_LISTED_BATCHES)
        return json_response(app, batches.page(limit, after).model_dump())

    @app.route(GET_BATCH.rule, GET_BATCH.method)
    def _get(batch: str) -> Response[str]:
        return json_response(app, batches.get(batch).model_dump())

    @app.route(STOP_BATCH.rule, STOP_BATCH.method)
    def _stop(batch: str) -> Response[str]:
        return json_response(app, batches.stop(batch).model_dump())

    @app.route(RESUME_BATCH.rule, RESUME_BATCH.method)
    def _resume(batch: str) -> Response[str]:
        return once(app, data, lambda _: json_response(app, batches.resume(batch).model_dump(), status=202))


@cache
def _app() -> APIGatewayRestResolver:
    return create_app(ManageSettings.from_env(), connect)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one API Gateway proxy event."""
    return _app().resolve(event, context)
