"""The routes of imports: begin one, and tell how far it is."""

from aws_lambda_powertools.event_handler import Response

from contract.idempotency import now
from contract.imports import AnnotationImport, AnnotationImportBody, ImportView, import_key, view_of
from contract.routes import GET_IMPORT, POST_IMPORT
from lambdas.aws.executions import Executions
from lambdas.aws.s3 import Store
from lambdas.web.idempotency import once
from lambdas.web.resolver import Resolver


def add_import_routes(app: Resolver, store: Store, machine: Executions) -> None:
    """POST /annotations/imports, and GET of one."""

    @app.on(POST_IMPORT)
    def _post() -> Response[str]:
        asked = app.json_body(AnnotationImportBody)

        def begin(id: str) -> Response[str]:
            importing = AnnotationImport(id=id, created=now(), updated=now(), asked=asked)
            store.create(import_key(id), importing)  # or an attempt before has, and may not have started it
            machine.start(id, {"id": id})
            return app.answer(view_of(importing), 202)

        return once(app, store, begin)

    def view(id: str) -> ImportView:
        absent = f"no import {id}: POST /annotations/imports begins one"
        return view_of(store.load(AnnotationImport, import_key(id), absent).value)

    app.answers(GET_IMPORT, view)
