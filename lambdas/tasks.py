"""The routes of saved tasks, and how POST /classify finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from lambdas.conditions import Conditions
from lambdas.queries import page_of
from lambdas.responses import body_of, json_response, no_content, query_of, quoted
from lambdas.routes import DELETE_TASK, GET_TASK, LIST_TASKS, PUT_TASK
from lambdas.store import Document, Store
from model.contract import NotFound, parse_json
from model.resources.tasks import MAX_LISTED_TASKS, TASKS_PREFIX, Task, TaskList, TaskSummary, task_key, task_name


def add_task_routes(app: APIGatewayRestResolver, store: Store) -> None:
    """GET /tasks, and GET, PUT and DELETE of one. Writers that have not seen the newest state get a 412."""

    def found(name: str) -> Document:
        document = store.read(task_key(name))
        if document is None:
            raise _unknown([name])
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


def saved_questions(store: Store, names: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """The questions of saved tasks by name, as JSON. Raises NotFound naming those that do not exist."""
    documents = store.read_all([task_key(name) for name in dict.fromkeys(names)])
    questions = {task_name(each.key): {k: v for k, v in each.value.items() if k != "description"} for each in documents}
    if unknown := [name for name in names if name not in questions]:
        raise _unknown(unknown)
    return questions


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


def _unknown(names: Sequence[str]) -> NotFound:
    return NotFound(
        f"no saved task {', '.join(map(repr, names))}: GET /tasks lists them, PUT /tasks/{names[0]} saves one"
    )
