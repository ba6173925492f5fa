"""The function that keeps what users give: saved tasks, uploads and annotations.

API Gateway calls `handler` with every request of these routes.
"""

from aws_lambda_powertools import Logger

from lambdas.annotate.annotations import add_annotation_routes
from lambdas.annotate.imports import add_import_routes
from lambdas.annotate.tasks import add_task_routes
from lambdas.annotate.uploads import add_upload_routes
from lambdas.aws.clients import Connect, connect
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.executions import Executions
from lambdas.aws.s3 import Store
from lambdas.settings import AnnotateSettings
from lambdas.web.resolver import Resolver, handler_of

logger = Logger(service="wordsight-annotate", serialize_stacktrace=False)


def create_app(settings: AnnotateSettings, connect: Connect) -> Resolver:
    """The routes, over one bucket; one endpoint looks at images before they are kept."""
    app = Resolver(settings.cors_origins, logger)
    store = Store(settings.data_bucket, connect)
    add_task_routes(app, store)
    add_upload_routes(app, store, connect)
    add_annotation_routes(app, store, Endpoint(settings.endpoint_name, connect))
    add_import_routes(app, store, Executions(settings.import_machine_arn, connect))
    return app


handler = handler_of(logger, lambda: create_app(AnnotateSettings.from_env(), connect))
