"""The function that manages what is done with models: trainings, versions and their promotion, batches, and
pauses of the endpoint.

API Gateway calls `handler` with every request of these routes. What takes long is done by state machines.
"""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response

from contract.batches import BatchBody
from contract.limits import MAX_LISTED_BATCHES, MAX_LISTED_SHARDS, MAX_LISTED_TRAININGS
from contract.models import ImportBody, PromoteBody
from contract.routes import (
    ADD_MODEL,
    GET_BATCH,
    GET_BATCH_FILES,
    GET_ENDPOINT,
    GET_MODEL,
    GET_REPORT,
    GET_TRAINING,
    LIST_BATCHES,
    LIST_MODELS,
    LIST_TRAININGS,
    PAUSE_ENDPOINT,
    PROMOTE_MODEL,
    RESUME_BATCH,
    RESUME_ENDPOINT,
    START_BATCH,
    START_TRAINING,
    STOP_BATCH,
    STOP_TRAINING,
    UPLOAD_MODEL,
)
from contract.trainings import TrainingBody
from contract.uploads import CheckpointUploadsBody
from lambdas.aws.clients import Connect, connect
from lambdas.aws.s3 import Store
from lambdas.manage.batches import Batches
from lambdas.manage.endpoint import EndpointSwitch
from lambdas.manage.models import Models
from lambdas.manage.trainings import Trainings
from lambdas.settings import ManageSettings
from lambdas.web.idempotency import once
from lambdas.web.resolver import Resolver, handler_of

logger = Logger(service="wordsight-train", serialize_stacktrace=False)


def create_app(settings: ManageSettings, connect: Connect) -> Resolver:
    """The routes, for one stage."""
    app = Resolver(settings.cors_origins, logger)
    data = Store(settings.data_bucket, connect)
    trainings, models, batches = Trainings(settings, connect), Models(settings, connect), Batches(settings, connect)

    app.answers(LIST_TRAININGS, lambda: trainings.page(*app.page_query(MAX_LISTED_TRAININGS)))
    app.answers(GET_TRAINING, trainings.get)
    app.answers(STOP_TRAINING, trainings.stop)

    @app.on(START_TRAINING)
    def _start_training() -> Response[str]:
        app.check_query("dry_run")
        body = app.json_body(TrainingBody)
        if app.switch_of_query("dry_run"):
            return app.answer(trainings.check(body))
        return once(app, data, lambda id: app.answer(trainings.begin(id, body), 202))

    app.answers(LIST_MODELS, models.all)
    app.answers(GET_MODEL, models.get)

    @app.on(GET_REPORT)
    def _report(version: str) -> Response[str]:
        from lambdas.manage.report import report_of  # with all that a report tells, which no other route does

        return app.answer(report_of(version, Store(settings.artifacts_bucket, connect)))

    @app.on(ADD_MODEL)
    def _add_model() -> Response[str]:
        body = app.json_body(ImportBody)
        return once(app, data, lambda _: app.answer(models.add(body), 201))

    @app.on(UPLOAD_MODEL)
    def _upload_model() -> Response[str]:
        body = app.json_body(CheckpointUploadsBody)
        return once(app, data, lambda id: app.answer(models.uploads(id, body), 201))

    @app.on(PROMOTE_MODEL)
    def _promote(version: str) -> Response[str]:
        force = app.json_body(PromoteBody, default=PromoteBody()).force
        return once(app, data, lambda id: app.answer(models.promote(id, version, force=force), 202))

    app.answers(LIST_BATCHES, lambda: batches.page(*app.page_query(MAX_LISTED_BATCHES)))
    app.answers(GET_BATCH, batches.get)
    app.answers(GET_BATCH_FILES, lambda batch: batches.files(batch, *app.page_query(MAX_LISTED_SHARDS)))
    app.answers(STOP_BATCH, batches.stop)
    app.on(RESUME_BATCH)(lambda batch: once(app, data, lambda _: app.answer(batches.resume(batch), 202)))

    @app.on(START_BATCH)
    def _start_batch() -> Response[str]:
        body = app.json_body(BatchBody)
        return once(app, data, lambda id: app.answer(batches.begin(id, body), 202))

    switch = EndpointSwitch(settings, connect)
    app.answers(GET_ENDPOINT, switch.get)
    app.on(PAUSE_ENDPOINT)(lambda: once(app, data, lambda id: app.answer(switch.begin(id, "pause"), 202)))
    app.on(RESUME_ENDPOINT)(lambda: once(app, data, lambda id: app.answer(switch.begin(id, "resume"), 202)))

    return app


handler = handler_of(logger, lambda: create_app(ManageSettings.from_env(), connect))
