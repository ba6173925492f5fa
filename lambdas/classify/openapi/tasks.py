"""The routes of saved tasks, described."""

from __future__ import annotations

from contract.limits import MAX_TASK_NAME_CHARS
from contract.routes import DELETE_TASK, GET_TASK, LIST_TASKS, PUT_TASK
from contract.tasks import MAX_LISTED_TASKS, Task, TaskList, TaskSummary
from lambdas.classify.openapi.parts import Resource, answer, json_body, page, parameter, reference

_TEXT = {"type": "string"}
_NAME = parameter("path", "task", "The task's name", {**_TEXT, "minLength": 1, "maxLength": MAX_TASK_NAME_CHARS})
_ETAG = {"etag": "Names this state of the task"}
_IF_MATCH = parameter("header", "if-match", "The etag that was seen, or * if there must be one", _TEXT)
_IF_NONE_MATCH = parameter("header", "if-none-match", "* if there must be none yet", {**_TEXT, "enum": ["*"]})

_EXAMPLES = {
    "weather": {
        "value": {
            "description": "What the weather camera sees",
            "candidate_labels": [
                "rain",
                {"label": "fog", "annotations": ["a foggy street", "grey haze, and no horizon"]},
            ],
            "multi_label": True,
            "thresholds": {"fog": 0.8},
        }
    }
}

TASKS = Resource(
    {
        LIST_TASKS: {
            "parameters": page(MAX_LISTED_TASKS),
            "responses": {"200": answer("A page of them", reference(TaskList))},
        },
        GET_TASK: {
            "parameters": [_NAME],
            "responses": {"200": answer("The task", reference(Task), headers=_ETAG)},
        },
        PUT_TASK: {
            "parameters": [_NAME, _IF_MATCH, _IF_NONE_MATCH],
            "requestBody": json_body(Task, _EXAMPLES),
            "responses": {
                "200": answer("It was replaced", reference(Task), headers=_ETAG),
                "201": answer("It is new", reference(Task), headers=_ETAG),
            },
        },
        DELETE_TASK: {
            "parameters": [_NAME, _IF_MATCH],
            "responses": {"204": answer("It is forgotten")},
        },
    },
    models=(Task,),
    typed_dicts=(TaskSummary, TaskList),
)
