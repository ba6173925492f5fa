"""Saved tasks, as POST /classify and batches find them."""

from collections.abc import Mapping, Sequence
from typing import Any

from contract.problems import NotFound
from contract.questions import task_key, task_name
from lambdas.aws.s3 import Store


def saved_questions(store: Store, names: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """The questions of saved tasks by name, as JSON. Raises NotFound naming those that do not exist."""
    documents = store.read_all([task_key(name) for name in dict.fromkeys(names)])
    questions = {task_name(each.key): {k: v for k, v in each.value.items() if k != "description"} for each in documents}
    if unknown := [name for name in names if name not in questions]:
        raise unknown_task(unknown)
    return questions


def unknown_task(names: Sequence[str]) -> NotFound:
    return NotFound(
        f"no saved task {', '.join(map(repr, names))}: GET /tasks lists them, PUT /tasks/{names[0]} saves one"
    )
