"""The routes of annotations: take them in, show them, let them be edited, and forget them."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

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
from contract.validation import parse_json
from lambdas.aws.clients import Connect
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.inference import inspector
from lambdas.aws.s3 import Document, Store
from lambdas.stored.annotations import AnnotationStore
from lambdas.stored.images import read_images
from lambdas.web.conditions import Conditions
from lambdas.web.idempotency import once
from lambdas.web.requests import body_of, known_fields, one_of, page_of, query_of
from lambdas.web.resolver import attributes_of
from lambdas.web.responses import json_response, no_content, quoted

SOURCE = "api"


def add_annotation_routes(app: APIGatewayRestResolver, store: Store, connect: Connect, endpoint: Endpoint) -> None:
    """POST, GET and DELETE /annotations, and GET, PUT and DELETE of one."""
    annotations = AnnotationStore(store)
    inspect = inspector(endpoint, lambda: attributes_of(app))

    def dataset() -> str:
        return one_of(query_of(app.current_event), "dataset") or DEFAULT_DATASET

    def found(id: str) -> Document:
        known_fields(query_of(app.current_event), "dataset")
        return annotations.read(dataset(), id)

    def answer(document: Document) -> Response[str]:
        return json_response(app, document.value, {"etag": quoted(document.etag)})

    @app.route(POST_ANNOTATIONS.rule, POST_ANNOTATIONS.method)
    def _post() -> Response[str]:
        event = app.current_event
        entries, listed = parse_annotations(event.headers.get("content-type"), body_of(event), query_of(event))

        def add(_: str) -> Response[str]:
            images = read_images([entry.image for entry in entries], store.bucket, connect)
            kept = annotations.add(entries, images, inspect, SOURCE)
            new = any(each["new"] for each in kept if not isinstance(each, ProblemError))
            return json_response(app, arrange(kept, listed=listed), status=201 if new else 200)

        return once(app, store, add)

    @app.route(LIST_ANNOTATIONS.rule, LIST_ANNOTATIONS.method)
    def _list() -> Response[str]:
        limit, after = page_of(query_of(app.current_event), MAX_LISTED_ANNOTATIONS, "dataset")
        return json_response(app, annotations.page(dataset(), limit, after).model_dump(mode="json"))

    @app.route(ERASE_IMAGE.rule, ERASE_IMAGE.method)
    def _erase() -> Response[str]:
        known_fields(query_of(app.current_event), "image")
        return json_response(app, annotations.erase_image(one_of(query_of(app.current_event), "image")))

    @app.route(GET_ANNOTATION.rule, GET_ANNOTATION.method)
    def _get(id: str) -> Response[str]:
        return answer(found(id))

    @app.route(PUT_ANNOTATION.rule, PUT_ANNOTATION.method)
    def _put(id: str) -> Response[str]:
        event = app.current_event
        body = parse_json(AnnotationBody, event.headers.get("content-type"), body_of(event))
        document = found(id)
        Conditions.of(event.headers).check(document)
        return answer(annotations.edit(document, body))

    @app.route(DELETE_ANNOTATION.rule, DELETE_ANNOTATION.method)
    def _delete(id: str) -> Response[str]:
        document = found(id)
        Conditions.of(app.current_event.headers).check(document)
        store.delete(document.key, etag=document.etag)
        return no_content(app)
