"""The routes of annotations: take them in, show them, let them be edited, and forget them."""

from aws_lambda_powertools.event_handler import Response

from contract.annotations import DEFAULT_DATASET, MAX_LISTED_ANNOTATIONS, AnnotationBody, parse_annotations
from contract.answers import arrange
from contract.problems import ProblemError
from contract.routes import (
    DELETE_ANNOTATION,
    ERASE_IMAGE,
    GET_ANNOTATION,
    LIST_ANNOTATIONS,
    POST_ANNOTATIONS,
    PUT_ANNOTATION,
)
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import inspect
from lambdas.aws.s3 import Document, JsonObject, Store
from lambdas.stored.annotations import AnnotationStore
from lambdas.stored.images import read_images
from lambdas.web.conditions import Conditions, delete_document
from lambdas.web.idempotency import once
from lambdas.web.resolver import Resolver

SOURCE = "api"


def add_annotation_routes(app: Resolver, store: Store, endpoint: Endpoint) -> None:
    """POST, GET and DELETE /annotations, and GET, PUT and DELETE of one."""
    annotations = AnnotationStore(store)

    def dataset() -> str:
        return app.one_of_query("dataset") or DEFAULT_DATASET

    def found(id: str) -> Document[JsonObject]:
        app.check_query("dataset")
        return annotations.read(dataset(), id)

    app.on(GET_ANNOTATION)(lambda id: app.answer_document(found(id)))
    app.on(DELETE_ANNOTATION)(lambda id: delete_document(app, store, found(id)))

    @app.on(POST_ANNOTATIONS)
    def _post() -> Response[str]:
        entries, listed = parse_annotations(app.content_type, app.body, app.query)

        def add(_: str) -> Response[str]:
            images = read_images([entry.image for entry in entries], store)
            pairs = list(zip(entries, images, strict=True))
            kept = annotations.add(pairs, lambda each: inspect(each, endpoint, app.invocation_attributes), SOURCE)
            new = any(each["new"] for each in kept if not isinstance(each, ProblemError))
            return app.answer(arrange(kept, listed=listed), 201 if new else 200)

        return once(app, store, add)

    @app.on(LIST_ANNOTATIONS)
    def _list() -> Response[str]:
        limit, after = app.page_query(MAX_LISTED_ANNOTATIONS, "dataset")
        return app.answer(annotations.page(dataset(), limit, after))

    @app.on(ERASE_IMAGE)
    def _erase() -> Response[str]:
        app.check_query("image")
        return app.answer(annotations.erase_image(app.one_of_query("image")))

    @app.on(PUT_ANNOTATION)
    def _put(id: str) -> Response[str]:
        body, document = app.json_body(AnnotationBody), found(id)
        Conditions.of(app.current_event.headers).check(document)
        return app.answer_document(annotations.edit(document, body))
