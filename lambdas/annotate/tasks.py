"""The routes of saved tasks."""

from itertools import islice

from aws_lambda_powertools.event_handler import Response

from contract.questions import MAX_LISTED_TASKS, TASKS_PREFIX, Task, TaskList, TaskSummary, task_key, task_name
from contract.routes import DELETE_TASK, GET_TASK, LIST_TASKS, PUT_TASK
from lambdas.aws.s3 import Document, JsonObject, Store
from lambdas.stored.tasks import unknown_task
from lambdas.web.conditions import Conditions, delete_document
from lambdas.web.resolver import Resolver


def add_task_routes(app: Resolver, store: Store) -> None:
    """GET /tasks, and GET, PUT and DELETE of one. Writers that have not seen the newest state get a 412."""

    def found(name: str) -> Document[JsonObject]:
        document = store.read(task_key(name))
        if document is None:
            raise unknown_task([name])
        return document

    app.answers(LIST_TASKS, lambda: _page(store, *app.page_query(MAX_LISTED_TASKS)))
    app.on(GET_TASK)(lambda task: app.answer_document(found(task)))
    app.on(DELETE_TASK)(lambda task: delete_document(app, store, found(task)))

    @app.on(PUT_TASK)
    def _put(task: str) -> Response[str]:
        key, members = task_key(task), app.json_body(Task).document()
        seen = Conditions.of(app.current_event.headers).check(store.read(key))
        stored = store.write(key, members, etag=seen.etag if seen else None, absent=seen is None)
        return app.answer_document(stored, 200 if seen else 201)


def _page(store: Store, limit: int, after: str) -> TaskList:
    behind = task_key(after) if after else ""
    keys = list(islice(store.keys(TASKS_PREFIX, after=behind), limit + 1))
    tasks = [_summary(document) for document in store.read_all(keys[:limit])]
    return TaskList(tasks=tasks, next=task_name(keys[limit - 1]) if len(keys) > limit else None)


def _summary(document: Document[JsonObject]) -> TaskSummary:
    task = Task.model_validate(document.value)
    return TaskSummary(
        name=task_name(document.key),
        etag=document.etag,
        labels=len(task.candidate_labels),
        multi_label=task.multi_label,
        description=task.description,
    )
