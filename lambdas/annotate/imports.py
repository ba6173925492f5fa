"""The routes of imports: begin one, and tell how far it is."""

from __future__ import annotations

from contextlib import suppress

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from contract.idempotency import now
from contract.imports import AnnotationImport, AnnotationImportBody, import_key, view_of
from contract.problems import NotFound, PreconditionFailed
from contract.routes import GET_IMPORT, POST_IMPORT
from contract.validation import parse_json
from lambdas.aws.executions import Executions
from lambdas.aws.s3 import Store
from lambdas.web.idempotency import once
from lambdas.web.requests import body_of
from lambdas.web.responses import json_response


def add_import_routes(app: APIGatewayRestResolver, store: Store, machine: Executions) -> None:
    """POST /annotations/imports, and GET of one."""

    @app.route(POST_IMPORT.rule, POST_IMPORT.method)
    def _post() -> Response[str]:
        event = app.current_event
        asked = parse_json(AnnotationImportBody, event.headers.get("content-type"), body_of(event))

        def begin(id: str) -> Response[str]:
            importing = AnnotationImport(id=id, created=now(), updated=now(), asked=asked)
            with suppress(PreconditionFailed):  # an attempt before wrote it down, and may not have started it
                store.write(import_key(id), importing.model_dump(mode="json"), absent=True)
            machine.start(id, {"id": id})
            return json_response(app, view_of(importing).model_dump(mode="json"), status=202)

        return once(app, store, begin)

    @app.route(GET_IMPORT.rule, GET_IMPORT.method)
    def _get(id: str) -> Response[str]:
        document = store.read(import_key(id))
        if document is None:
            raise NotFound(f"no import {id}: POST /annotations/imports begins one")
        return json_response(app, view_of(AnnotationImport.model_validate(document.value)).model_dump(mode="json"))
