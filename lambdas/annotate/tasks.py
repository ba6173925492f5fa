"""The routes of saved tasks, and how POST /classify finds them."""

from __future__ import annotations

from itertools import islice

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from contract.routes import DELETE_TASK, GET_TASK, LIST_TASKS, PUT_TASK
from contract.tasks import MAX_LISTED_TASKS, TASKS_PREFIX, Task, TaskList, TaskSummary, task_key, task_name
from contract.validation import parse_json
from lambdas.aws.s3 import Document, Store
from lambdas.stored.tasks import unknown_task
from lambdas.web.conditions import Conditions
from lambdas.web.requests import body_of, page_of, query_of
from lambdas.web.responses import json_response, no_content, quoted


def add_task_routes(app: APIGatewayRestResolver, store: Store) -> None:
    """GET /tasks, and GET, PUT and DELETE of one. Writers that have not seen the newest state get a 412."""

    def found(name: str) -> Document:
        document = store.read(task_key(name))
        if document is None:
            raise unknown_task([name])
        return document

    def answer(document: Document, status: int = 200) -> Response[str]:
        return json_response(app, document.value, {"etag": quoted(document.etag)}, status)

    @app.route(LIST_TASKS.rule, LIST_TASKS.method)
    def _list() -> Response[str]:
        limit, after = page_of(query_of(app.current_event), MAX_LISTED_TASKS)
        return json_response(app, _page(store, limit, after))

    @app.route(GET_TASK.rule, GET_TASK.method)
    def _get(task: str) -> Response[str]:
        return answer(found(task))

    @app.route(PUT_TASK.rule, PUT_TASK.method)
    def _put(task: str) -> Response[str]:
        event = app.current_event
        key = task_key(task)
        document = parse_json(Task, event.headers.get("content-type"), body_of(event)).document()
        seen = Conditions.of(event.headers).check(store.read(key))
        stored = store.write(key, document, etag=seen.etag if seen else None, absent=seen is None)
        return answer(stored, 200 if seen else 201)

    @app.route(DELETE_TASK.rule, DELETE_TASK.method)
    def _delete(task: str) -> Response[str]:
        document = found(task)
        Conditions.of(app.current_event.headers).check(document)
        store.delete(document.key, etag=document.etag)
        return no_content(app)


def _page(store: Store, limit: int, after: str) -> TaskList:
    behind = task_key(after) if after else ""
    keys = list(islice(store.keys(TASKS_PREFIX, after=behind), limit + 1))
    tasks = [_summary(document) for document in store.read_all(keys[:limit])]
    return TaskList(tasks=tasks, next=task_name(keys[limit - 1]) if len(keys) > limit else None)


def _summary(document: Document) -> TaskSummary:
    task = Task.model_validate(document.value)
    return TaskSummary(
        name=task_name(document.key),
        etag=document.etag,
        labels=len(task.candidate_labels),
        multi_label=task.multi_label,
        description=task.description,
    )
