"""Saved tasks: questions with a name, kept in the data bucket, asked by `task` in POST /classify."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypedDict

from pydantic import Field, StringConstraints, model_validator

from model.contract import MAX_TEXT_CHARS, TASK_NAME, BadRequest, Question, check_prompts, validate

TASKS_PREFIX = "tasks/"
"""Where in the data bucket they are: one JSON document each."""
MAX_LISTED_TASKS = 1000
"""Tasks answered by one GET /tasks; `after` asks for those behind them."""


class Task(Question):
    """The body of PUT /tasks/{task}, and what GET answers."""

    description: Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARS)] = Field(
        default="", description="What it is for, in words for people"
    )

    @model_validator(mode="after")
    def _fits_a_request(self) -> Self:
        check_prompts([self])
        return self

    def question(self) -> dict[str, Any]:
        """What POST /classify is asked in its place, as JSON."""
        return self.model_dump(exclude_unset=True, exclude={"description"})


class TaskSummary(TypedDict):
    """One entry of GET /tasks."""

    name: str
    etag: str
    labels: list[str]
    multi_label: bool
    description: str


class TaskList(TypedDict):
    """The answer of GET /tasks, in the order of names. `next`: what to send as `after`, null at the end."""

    tasks: list[TaskSummary]
    next: str | None


def task_key(name: str) -> str:
    """Where in the data bucket the task is. Raises BadRequest for a name that no task may have."""
    if not TASK_NAME.fullmatch(name):
        raise BadRequest(f"the task's name is {name!r}, allowed: {TASK_NAME_IN_WORDS}")
    return f"{TASKS_PREFIX}{name}.json"


def summary(name: str, etag: str, task: Task) -> TaskSummary:
    """A task as the list shows it."""
    return TaskSummary(
        name=name,
        etag=etag,
        labels=[label.label for label in task.candidate_labels],
        multi_label=task.multi_label,
        description=task.description,
    )
