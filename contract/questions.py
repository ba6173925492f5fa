"""Questions: label sets, and how they are scored; and saved tasks: questions that are kept under a name."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self, TypedDict

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from contract.limits import MAX_LABELS, MAX_PROMPTS, MAX_TASK_NAME_CHARS, MAX_TASKS, MAX_TEXT_CHARS
from contract.problems import BadRequest, PayloadTooLarge, shorten
from contract.validation import Strict, validate

TASKS_PREFIX = "tasks/"
"""Where in the data bucket they are: one JSON document each."""
MAX_TASK_BYTES = 1_000_000
"""One task as JSON in ASCII: it is read for every request that names it."""
MAX_LISTED_TASKS = 100
"""Tasks answered by one GET /tasks; `after` asks for those behind them."""

DEFAULT_HYPOTHESIS_TEMPLATE = "This is a photo of {}."
_SHARED_BY_TASKS = ("hypothesis_template", "multi_label", "top_k", "threshold")
_TASK_NAME = re.compile(f"[a-z0-9][a-z0-9_-]{{0,{MAX_TASK_NAME_CHARS - 1}}}")


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError(f"must not be blank, got {text!r}")
    return text


def _with_place_for_label(template: str) -> str:
    if "{}" not in template:
        raise ValueError(f"a hypothesis template needs {{}} where the label goes, got {shorten(template)!r}")
    return template


def check_task_name(name: str) -> str:
    """The name itself. Raises ValueError for one that no saved task may have."""
    if not _TASK_NAME.fullmatch(name):
        raise ValueError(
            f"a saved task's name has 1 to {MAX_TASK_NAME_CHARS} lower-case letters, digits, _ and -, "
            f"a letter or digit first, got {shorten(name)!r}"
        )
    return name


def _split_labels(value: object) -> object:
    """`"cat, dog"` -> `["cat", "dog"]`; a plain string in a list is a label without annotations."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list):
        for item in value:
            if not isinstance(item, str | dict | Label):
                got = shorten(json.dumps(item, default=str))
                raise ValueError(f'a label is text or {{"label": …, "annotations": […]}}, got {got}')
        return [{"label": item} if isinstance(item, str) else item for item in value]
    return value


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


Text = Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARS), AfterValidator(_not_blank)]
TaskName = Annotated[str, AfterValidator(check_task_name)]
TaskNames = Annotated[list[TaskName], Field(min_length=1, max_length=MAX_TASKS)]
Template = Annotated[Text, AfterValidator(_with_place_for_label)]
# `json_schema_input_type` is what a caller may write, and what the OpenAPI document shows
Texts = Annotated[list[Text], BeforeValidator(_one_or_many, json_schema_input_type=Text | list[Text])]
Templates = Annotated[list[Template], BeforeValidator(_one_or_many, json_schema_input_type=Template | list[Template])]


class Label(Strict):
    """One answer the model may give, optionally described by sentences that stand for it instead of the template."""

    label: Text
    annotations: list[Text] = Field(
        default_factory=list, description="Sentences that describe it; averaged in embedding space"
    )


Labels = Annotated[
    list[Label],
    BeforeValidator(
        _split_labels, json_schema_input_type=str | Annotated[list[str | Label], Field(max_length=MAX_LABELS)]
    ),
]


class Question(Strict):
    """One label set and how to score it: softmax over the labels, or each on its own with `multi_label`."""

    candidate_labels: Labels = Field(
        min_length=1, max_length=MAX_LABELS, description='"cat, dog", ["cat", "dog"], or labels with annotations'
    )
    hypothesis_template: Templates = Field(
        default=[DEFAULT_HYPOTHESIS_TEMPLATE],
        min_length=1,
        description="One or several sentences with {} for the label; used for labels without annotations",
    )
    multi_label: bool = Field(default=False, description="Score each label on its own instead of against the others")
    top_k: int | None = Field(default=None, ge=1, description="Answer only the best k labels")
    threshold: float | None = Field(default=None, ge=0, le=1, description="Answer only labels that score at least this")
    thresholds: dict[Text, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={}, max_length=MAX_LABELS, description="By label, for those that need another threshold than the others"
    )

    @model_validator(mode="after")
    def _labels_can_be_told_apart(self) -> Self:
        seen: set[str] = set()
        for each in self.candidate_labels:
            if each.label in seen:
                raise ValueError(f"the label {shorten(each.label)!r} is given twice: every label once")
            seen.add(each.label)
        if len(seen) == 1 and not self.multi_label:
            raise ValueError(
                f"a lone label ({shorten(next(iter(seen)))!r}) would always score 1.0: "
                "add a second label or set multi_label"
            )
        if seen and (unknown := [label for label in self.thresholds if label not in seen]):
            raise ValueError(f"thresholds names {shorten(unknown[0])!r}, which is not one of the candidate_labels")
        return self

    def threshold_of(self, label: str) -> float:
        """What `label` must score to be answered."""
        return self.thresholds.get(label, self.threshold or 0.0)

    def prompts(self, label: Label) -> list[str]:
        """The sentences whose mean embedding stands for `label`."""
        return label.annotations or [template.replace("{}", label.label) for template in self.hypothesis_template]

    @property
    def answered_labels(self) -> int:
        """How many labels are answered at most."""
        return min(len(self.candidate_labels), self.top_k or MAX_LABELS)


def check_prompts(questions: Iterable[Question]) -> None:
    """Raises ValueError if the questions have more sentences together than are embedded for one request."""
    prompts = sum(len(asked.prompts(label)) for asked in questions for label in asked.candidate_labels)
    if prompts > MAX_PROMPTS:
        raise ValueError(f"{prompts} prompts (labels x annotations or templates), at most {MAX_PROMPTS} are allowed")


class Parameters(Question):
    """The parameters of /classify: one question, several named ones in `tasks`, or saved ones by name in `task`.

    What is said beside `tasks` (a template, `multi_label`, `top_k`, `threshold`) holds for every task that does not say
    otherwise. What is said beside `task` comes before what was saved.
    """

    candidate_labels: Labels = Field(
        default=[], max_length=MAX_LABELS, description='"cat, dog", ["cat", "dog"], or labels with annotations'
    )
    tasks: dict[Text, Question] = Field(
        default={}, max_length=MAX_TASKS, description="Several questions about one image, instead of candidate_labels"
    )
    task: TaskName | TaskNames | None = Field(
        default=None, description="A saved task by its name, or a list of them, instead of candidate_labels"
    )

    @model_validator(mode="before")
    @classmethod
    def _tasks_inherit(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("tasks"), dict):
            return data
        shared = {name: data[name] for name in _SHARED_BY_TASKS if name in data}
        tasks = {name: {**shared, **task} if isinstance(task, dict) else task for name, task in data["tasks"].items()}
        return {**data, "tasks": tasks}

    @model_validator(mode="after")
    def _asks_one_way(self) -> Self:
        ways = {"candidate_labels": self.candidate_labels, "tasks": self.tasks, "task": self.task}
        given = [name for name, value in ways.items() if value]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given together: give one of them")
        if not given:
            raise ValueError('candidate_labels is missing: give at least two, such as ["cat", "dog"]')
        if self.tasks and self.thresholds:
            raise ValueError("thresholds name the labels of one question: give them inside each of the tasks")
        check_prompts(self.questions.values())
        return self

    @property
    def questions(self) -> dict[str, Question]:
        """Every question by its task's name; a lone `candidate_labels` question has the name "".

        Saved tasks have none before `with_saved`.
        """
        return self.tasks or ({} if self.task else {"": self})

    @property
    def task_names(self) -> list[str]:
        """The saved tasks that are asked for."""
        return [self.task] if isinstance(self.task, str) else self.task or []

    def with_saved(self, saved: Mapping[str, Mapping[str, Any]]) -> "Parameters":
        """The same with the questions of its saved tasks in their places, each given by name as JSON.

        Raises BadRequest if together they are more than one request may ask.
        """
        beside = self.model_dump(exclude_unset=True, exclude={"task"})
        questions = {name: {**saved[name], **beside} for name in self.task_names}
        if isinstance(self.task, str):
            return validate(Parameters, questions[self.task])
        return validate(Parameters, {"tasks": questions})


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
