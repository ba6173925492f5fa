"""The function that keeps what users give: saved tasks, uploads and annotations.

API Gateway calls `handler` with every request of these routes.
"""

import base64
import time
from dataclasses import replace
from functools import partial
from itertools import islice
from uuid import uuid4

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response

from contract.annotations import (
    DEFAULT_DATASET,
    AnnotationBody,
    image_key,
    parse_annotations,
)
from contract.answers import arrange
from contract.idempotency import now
from contract.images import IMAGE_EXPIRES_IN_S, AnnotatedImage, Thumbnail, thumbnail_size
from contract.imports import AnnotationImport, AnnotationImportBody, ImportView, import_key, view_of
from contract.limits import (
    API_KEY_HEADER,
    MAX_INVOCATION_BYTES,
    MAX_LISTED_ANNOTATIONS,
    MAX_LISTED_TASKS,
    UPLOADS_PREFIX,
)
from contract.problems import Conflict, NotFound, ProblemError, ServiceUnavailable
from contract.questions import Task, TaskList, TaskSummary, task_key, task_name
from contract.routes import (
    DELETE_ANNOTATION,
    DELETE_TASK,
    ERASE_IMAGE,
    GET_ANNOTATED_IMAGE,
    GET_ANNOTATION,
    GET_IMPORT,
    GET_TASK,
    LIST_ANNOTATIONS,
    LIST_TASKS,
    POST_ANNOTATIONS,
    POST_IMPORT,
    PUT_ANNOTATION,
    PUT_TASK,
    TEACH_TASK,
    UNTEACH_TASK,
    UPLOAD,
)
from contract.steps import TeachEvent
from contract.taught import (
    TaskView,
    Teaching,
    TeachTaskBody,
    taught_key,
    taught_of,
)
from contract.uploads import UPLOAD_EXPIRES_IN_S, Upload, Uploads, UploadsBody
from lambdas.aws.clients import Connect, connect
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.executions import Executions
from lambdas.aws.functions import Function
from lambdas.aws.inference import inspect, thumbnail
from lambdas.aws.s3 import Document, JsonObject, Store
from lambdas.settings import AnnotateSettings
from lambdas.stored.annotations import AnnotationStore
from lambdas.stored.endpoint import Changes, endpoint_of
from lambdas.stored.images import read_images, read_thumbnail
from lambdas.stored.tasks import task_keys, unknown_task
from lambdas.stored.teachings import RETRY_AFTER_S, Teachings
from lambdas.web.conditions import check_conditions, delete_document
from lambdas.web.idempotency import once
from lambdas.web.resolver import Resolver, handler_of

logger = Logger(service="wordsight-annotate", serialize_stacktrace=False)

FOR_BROWSERS = {"cache-control": "private, max-age=86400, immutable", "vary": f"authorization, {API_KEY_HEADER}"}
"""Of a thumbnail, which is named by its content. For a day: of an image that is erased, no browser keeps it longer."""


def create_app(settings: AnnotateSettings, connect: Connect) -> Resolver:
    """The routes, over one bucket; one endpoint looks at images before they are kept."""
    app = Resolver(settings.cors_origins, logger)
    store = Store(settings.data_bucket, connect)
    teacher = Function(settings.teach_function_arn, connect)
    add_task_routes(app, store, teacher)
    add_teach_routes(app, store, teacher)
    endpoint = endpoint_of(settings.endpoint_name, store, connect)
    add_upload_routes(app, store, endpoint.max_image_bytes)
    add_annotation_routes(app, store, endpoint, teacher)
    add_import_routes(app, store, Executions(settings.import_machine_arn, connect))
    return app


def _begin(teacher: Function, event: TeachEvent | None) -> None:
    """Let tasks be taught, if any are concerned: what was kept is kept, whether that begins or not."""
    if event and not teacher.begin(event.model_dump()):
        logger.warning("what has changed is taught with the next change: Lambda does not answer")


def add_task_routes(app: Resolver, store: Store, teacher: Function) -> None:
    """GET /tasks, and GET, PUT and DELETE of one. Writers that have not seen the newest state get a 412."""

    @app.on(GET_TASK)
    def _get(task: str) -> Response[str]:
        read = {document.key: document for document in store.read_all([task_key(task), taught_key(task)])}
        document, taught = read.get(task_key(task)), read.get(taught_key(task))
        if document is None:
            raise unknown_task([task])
        seen = taught_of(Teaching.model_validate(taught.value), time.time()) if taught else None
        told = {**document.value, "taught": seen.model_dump(mode="json") if seen else None}
        return app.answer_document(replace(document, value=told))

    @app.on(DELETE_TASK)
    def _delete(task: str) -> Response[str]:
        answer = delete_document(app, store, _found(store, task))
        Teachings(store).forget(task)
        return answer

    @app.on(PUT_TASK)
    def _put(task: str) -> Response[str]:
        key, members = task_key(task), app.json_body(TaskView).document()
        seen = check_conditions(app.current_event.headers, store.read(key))
        stored = store.write(key, members, etag=seen.etag if seen else None, absent=seen is None)
        _begin(teacher, TeachEvent(tasks=[task]))
        return app.answer_document(stored, 200 if seen else 201)

    def page() -> TaskList:
        limit, after = app.page_query(MAX_LISTED_TASKS)
        keys = list(islice(task_keys(store, after=after or ""), limit + 1))
        tasks = [_summary(document) for document in store.read_all(keys[:limit])]
        return TaskList(tasks=tasks, next=task_name(keys[limit - 1]) if len(keys) > limit else None)

    app.answers(LIST_TASKS, page)


def _found(store: Store, task: str) -> Document[JsonObject]:
    document = store.read(task_key(task))
    if document is None:
        raise unknown_task([task])
    return document


def _summary(document: Document[JsonObject]) -> TaskSummary:
    task = Task.model_validate(document.value)
    return TaskSummary(
        name=task_name(document.key),
        etag=document.etag,
        labels=len(task.candidate_labels),
        multi_label=task.multi_label,
        description=task.description,
    )


def add_teach_routes(app: Resolver, store: Store, teacher: Function) -> None:
    """POST and DELETE /tasks/{task}/teach: look at the annotations now, go back to an earlier head, or to the words."""
    teachings = Teachings(store)

    @app.on(TEACH_TASK)
    def _teach(task: str) -> Response[str]:
        asked = app.json_body(TeachTaskBody, default=TeachTaskBody())

        def begin(_: str) -> Response[str]:
            if _found(store, task).value.get("multi_label"):
                raise Conflict(
                    f"the task {task!r} is multi_label, so that each of its labels is scored on its own: only tasks "
                    "whose labels exclude each other are taught at once, POST /trainings teaches any"
                )
            teaching = teachings.restore(task, asked.head) if asked.head else teachings.ask(task)
            if not teacher.begin(TeachEvent(tasks=[task]).model_dump()):
                raise ServiceUnavailable("Lambda does not answer: try again", retry_after_s=RETRY_AFTER_S)
            return app.answer(taught_of(teaching, time.time()), 202)

        return once(app, store, begin)

    @app.on(UNTEACH_TASK)
    def _unteach(task: str) -> Response[str]:
        _found(store, task)
        return app.answer(taught_of(teachings.pause(task), time.time()))


def add_upload_routes(app: Resolver, store: Store, max_image_bytes: int) -> None:
    """POST /uploads: presigned POST forms, by which a caller sends images straight to the data bucket."""

    @app.on(UPLOAD)
    def _upload() -> Response[str]:
        asked = app.json_body(UploadsBody, default=UploadsBody())

        def sign(_: str) -> Response[str]:
            uploads = [_presigned_post(store, asked.content_type, max_image_bytes) for _ in range(asked.count)]
            return app.answer(Uploads(uploads=uploads), 201)

        return once(app, store, sign)


def _presigned_post(store: Store, content_type: str | None, max_image_bytes: int) -> Upload:
    """A form for one image: S3 refuses other keys, larger files and other types."""
    max_bytes = max_image_bytes if (content_type or "image/").startswith("image/") else MAX_INVOCATION_BYTES
    key = f"{UPLOADS_PREFIX}{uuid4()}"
    fields = {"Content-Type": content_type or "image/*"}  # the model looks at the bytes
    of_type = {"Content-Type": content_type} if content_type else ["starts-with", "$Content-Type", "image/"]
    conditions = [of_type, ["content-length-range", 1, max_bytes]]
    form = store.posting_form(key, fields, conditions, UPLOAD_EXPIRES_IN_S)
    return Upload(
        url=form["url"],
        fields=form["fields"],
        s3_key=key,
        max_bytes=max_bytes,
        expires_in_s=UPLOAD_EXPIRES_IN_S,
    )


def add_annotation_routes(app: Resolver, store: Store, endpoint: Endpoint, teacher: Function) -> None:
    """POST, GET and DELETE /annotations, and GET, PUT and DELETE of one. What changes teaches the tasks concerned."""
    annotations = AnnotationStore(store)

    def dataset() -> str:
        return app.one_of_query("dataset") or DEFAULT_DATASET

    def found(id: str) -> Document[JsonObject]:
        app.check_query("dataset")
        return annotations.read(dataset(), id)

    app.on(GET_ANNOTATION)(lambda id: app.answer_document(found(id)))

    @app.on(DELETE_ANNOTATION)
    def _delete(id: str) -> Response[str]:
        document = found(id)
        answer = delete_document(app, store, document)
        _begin(teacher, TeachEvent.about([_said(document.value)]))
        return answer

    @app.on(GET_ANNOTATED_IMAGE)
    def _image(image: str) -> Response[str]:
        app.check_query("size")
        if "size" in app.query:
            return shrunk(image, thumbnail_size(app.one_of_query("size")))
        key = image_key(image)
        if next(store.keys(key), None) is None:
            raise no_image(image)
        url = store.reading_url(key, IMAGE_EXPIRES_IN_S)
        return app.answer(AnnotatedImage(image=image, url=url, expires_in_s=IMAGE_EXPIRES_IN_S))

    def shrunk(image: str, size_px: int) -> Response[str]:
        shrink = partial(thumbnail, size_px=size_px, endpoint=endpoint, attributes=app.invocation_attributes)
        jpeg = read_thumbnail(image, size_px, store, shrink)
        if jpeg is None:
            raise no_image(image)
        answer = Thumbnail(image=image, size=size_px, thumbnail=base64.b64encode(jpeg).decode())
        return app.answer(answer, headers={"etag": f'"{image}-{size_px}"', **FOR_BROWSERS})

    def no_image(image: str) -> NotFound:
        return NotFound(f"no image {image}: image is what an annotation says of its image")

    @app.on(POST_ANNOTATIONS)
    def _post() -> Response[str]:
        entries, listed = parse_annotations(app.content_type, app.body, app.query)

        def add(_: str) -> Response[str]:
            images = read_images([entry.image for entry in entries], store, endpoint.max_image_bytes)
            pairs = list(zip(entries, images, strict=True))
            kept = annotations.add(pairs, lambda each: inspect(each, endpoint, app.invocation_attributes), "api")
            new = any(each["new"] for each in kept if not isinstance(each, ProblemError))
            good = [entry.body for entry, each in zip(entries, kept, strict=True) if not isinstance(each, ProblemError)]
            _begin(teacher, TeachEvent.about((b.label, b.task) for b in good if isinstance(b, AnnotationBody)))
            return app.answer(arrange(kept, listed=listed), 201 if new else 200)

        return once(app, store, add)

    @app.on(LIST_ANNOTATIONS)
    def _list() -> Response[str]:
        limit, after = app.page_query(MAX_LISTED_ANNOTATIONS, "dataset")
        return app.answer(annotations.page(dataset(), limit, after))

    @app.on(ERASE_IMAGE)
    def _erase() -> Response[str]:
        app.check_query("image")
        image = app.one_of_query("image")
        said = [(each.label, each.task) for each in annotations.said_of(image)]
        try:
            erased = annotations.erase_image(image)
        finally:  # also where there was none any more: a request before this one may have been cut off
            tasks = Teachings(store).forget_image(image)
        concerned = TeachEvent.about([*said, *((task, task) for task in tasks)])
        _begin(teacher, concerned)
        return app.answer(erased)

    @app.on(PUT_ANNOTATION)
    def _put(id: str) -> Response[str]:
        body, document = app.json_body(AnnotationBody), found(id)
        check_conditions(app.current_event.headers, document)
        edited = annotations.edit(document, body)
        _begin(teacher, TeachEvent.about([_said(document.value), (body.label, body.task)]))
        return app.answer_document(edited)


def _said(record: JsonObject) -> tuple[str | None, str | None]:
    return record["label"], record["task"]


def add_import_routes(app: Resolver, store: Store, machine: Executions) -> None:
    """POST /annotations/imports, and GET of one."""

    @app.on(POST_IMPORT)
    def _post() -> Response[str]:
        asked = app.json_body(AnnotationImportBody)

        def begin(id: str) -> Response[str]:
            Changes(store).refuse("an import")
            importing = AnnotationImport(id=id, created=now(), updated=now(), asked=asked)
            store.create(import_key(id), importing)  # or an attempt before has, and may not have started it
            machine.start(id, {"id": id})
            return app.answer(view_of(importing), 202)

        return once(app, store, begin)

    def view(id: str) -> ImportView:
        absent = f"no import {id}: POST /annotations/imports begins one"
        return view_of(store.load(AnnotationImport, import_key(id), absent).value)

    app.answers(GET_IMPORT, view)


handler = handler_of(logger, lambda: create_app(AnnotateSettings.from_env(), connect))
