"""Saved tasks: questions with a name, kept in the data bucket, asked by `task` in POST /classify."""

import json
from typing import Annotated, Any, ClassVar, Self, TypedDict

from pydantic import Field, StringConstraints, model_validator

from contract.limits import MAX_TEXT_CHARS
from contract.problems import BadRequest, PayloadTooLarge
from contract.questions import Question, check_prompts, check_task_name

TASKS_PREFIX = "tasks/"
"""Where in the data bucket they are: one JSON document each."""
MAX_TASK_BYTES = 1_000_000
"""One task as JSON in ASCII: it is read for every request that names it."""
MAX_LISTED_TASKS = 100
"""Tasks answered by one GET /tasks; `after` asks for those behind them."""


class Task(Question):
    """The body of PUT /tasks/{task}, and what GET answers: a question, and a description for people."""

    description: Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARS)] = Field(
        default="", description="What it is for, in words for people"
    )

    EXAMPLES: ClassVar = {
        "weather": {
            "description": "What the weather camera sees",
            "candidate_labels": [
                "rain",
                {"label": "fog", "annotations": ["a foggy street", "grey haze, and no horizon"]},
            ],
            "multi_label": True,
            "thresholds": {"fog": 0.8},
        }
    }

    @model_validator(mode="after")
    def _fits_a_request(self) -> Self:
        check_prompts([self])
        return self

    def document(self) -> dict[str, Any]:
        """What is stored and answered, JSON-ready. Raises PayloadTooLarge beyond MAX_TASK_BYTES."""
        members = self.model_dump(exclude_unset=True)
        if (size := len(json.dumps(members))) > MAX_TASK_BYTES:
            raise PayloadTooLarge(f"the task is {size:,} bytes, at most {MAX_TASK_BYTES:,} are kept: use fewer labels")
        return members


class TaskSummary(TypedDict):
    """One entry of GET /tasks; `labels` is their number."""

    name: str
    etag: str
    labels: int
    multi_label: bool
    description: str


class TaskList(TypedDict):
    """The answer of GET /tasks, in the order of names. `next`: what to send as `after`, null at the end."""

    tasks: list[TaskSummary]
    next: str | None


def task_key(name: str) -> str:
    """Where in the data bucket the task is. Raises BadRequest for a name that no task may have."""
    try:
        return f"{TASKS_PREFIX}{check_task_name(name)}.json"
    except ValueError as error:
        raise BadRequest(str(error)) from None


def task_name(key: str) -> str:
    """The name of the task that is stored at `key`."""
    return key.removeprefix(TASKS_PREFIX).removesuffix(".json")
