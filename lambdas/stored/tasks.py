"""Saved tasks, as POST /classify and batches find them: what each asks, and the head that answers it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.limits import MAX_HEAD_BYTES
from contract.problems import BadRequest, NotFound
from contract.questions import TASKS_PREFIX, Parameters, task_key, task_name
from contract.taught import Teaching, head_key, head_of_key, task_versions, taught_key
from lambdas.aws.s3 import Store


@dataclass(frozen=True)
class SavedTask:
    """`question` as JSON, without its description. `head`: the sha256 of the one that answers, None for the words."""

    name: str
    question: dict[str, Any]
    etag: str
    head: str | None


def task_keys(store: Store, *, after: str = "") -> Iterator[str]:
    """Where saved tasks are, those behind the one called `after`. What else lies there is none, such as the empty
    object that S3's console makes of a folder.
    """
    return filter(_is_task_key, store.keys(TASKS_PREFIX, after=task_key(after) if after else ""))


def _is_task_key(key: str) -> bool:
    try:
        return task_key(task_name(key)) == key
    except BadRequest:
        return False


def saved_tasks(store: Store, asked: Parameters) -> list[SavedTask]:
    """The tasks that are asked by name. Raises NotFound naming those that do not exist."""
    names = [*dict.fromkeys(asked.task_names)]
    keys = [task_key(name) for name in names]
    # side by side, so that a task that can be taught costs no more time
    read = store.read_all([*keys, *(taught_key(name) for name in names if asked.taught)])
    found = {document.key: document for document in read}
    if unknown := [name for name, key in zip(names, keys, strict=True) if key not in found]:
        raise unknown_task(unknown)

    def head(name: str) -> str | None:
        taught = found.get(taught_key(name))
        return Teaching.model_validate(taught.value).head if taught else None

    return [
        SavedTask(
            task_name(key),
            {name: value for name, value in found[key].value.items() if name != "description"},
            found[key].etag,
            head(name),
        )
        for name, key in zip(names, keys, strict=True)
    ]


def with_tasks(asked: Parameters, tasks: Sequence[SavedTask]) -> tuple[Parameters, dict[str, str]]:
    """The same with the questions of saved tasks in their places, and by the names of its questions the keys of the
    heads that answer them. Raises BadRequest if together they are more than one request may ask.
    """
    alone = isinstance(asked.task, str)
    heads = {"" if alone else task.name: head_key(task.name, task.head) for task in tasks if task.head}
    return asked.with_saved({task.name: task.question for task in tasks}), heads


def shas_of(head_keys: Mapping[str, str]) -> dict[str, str]:
    """As the container is told them."""
    return {question: head_of_key(key) for question, key in head_keys.items()}


def head_reader(store: Store, head_keys: Iterable[str]) -> Callable[[str], bytes | None]:
    """Finds the file of each of these heads by its sha256; None of one that was erased."""
    keys = {head_of_key(key): key for key in head_keys}
    return lambda sha256: read_head(store, keys[sha256]) if sha256 in keys else None


def read_head(store: Store, key: str) -> bytes | None:
    """A head's file, or None where there is none."""
    return store.read_file(key, size_bytes=MAX_HEAD_BYTES)


def versions(tasks: Sequence[SavedTask], heads_used: Sequence[str]) -> str:
    """By what each of the tasks was answered."""
    return task_versions(
        (task.name, task.head if task.head and task.head.startswith(tuple(heads_used)) else None, task.etag)
        for task in tasks
    )


def unknown_task(names: Sequence[str]) -> NotFound:
    return NotFound(
        f"no saved task {', '.join(map(repr, names))}: GET /tasks lists them, PUT /tasks/{names[0]} saves one"
    )
