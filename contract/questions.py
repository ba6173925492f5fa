"""Questions: label sets, and how they are scored; and saved tasks: questions that are kept under a name."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self, TypedDict

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from contract.limits import (
    MAX_LABELS,
    MAX_PROMPT_CHARS,
    MAX_PROMPTS,
    MAX_TASK_NAME_CHARS,
    MAX_TASKS,
    MAX_TEMPLATES,
    MAX_TEXT_CHARS,
)
from contract.problems import BadRequest, PayloadTooLarge, shorten, shown
from contract.texts import distinct_each, same_to_the_model, twins
from contract.validation import NOT_BLANK, AtMost, Strict, Written, validate, without_nulls, written_as_json

TASKS_PREFIX = "tasks/"
"""Where in the data bucket they are: one JSON document each."""
MAX_TASK_BYTES = 1_000_000
"""One task as JSON in ASCII: it is read for every request that names it."""

DEFAULT_HYPOTHESIS_TEMPLATE = "This is a photo of {}."
UNKNOWN_LABEL = "none of these"
"""What `unknown` answers where no label fits."""
_SHARED_BY_TASKS = ("hypothesis_template", "multi_label", "unknown", "top_k", "threshold")
_TASK_NAME = re.compile(f"[a-z0-9][a-z0-9_-]{{0,{MAX_TASK_NAME_CHARS - 1}}}")


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
    value = _list_of_json(value)
    if isinstance(value, str):
        if value.count(",") > 2 * MAX_LABELS:  # as many may have nothing between them
            raise ValueError(f"{value.count(',')} commas, at most {MAX_LABELS} labels are allowed")
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list) or len(value) > MAX_LABELS:
        return value
    labels, sentences = [], 0
    for item in value:
        if isinstance(item, str):
            item = {"label": item}
        elif isinstance(item, dict) and len(item) <= _LABEL_FIELDS:
            item = without_nulls(Label, item)
            annotations = item.get("annotations")
            sentences += len(annotations) if isinstance(annotations, list) else 0
        elif not isinstance(item, Label):
            raise ValueError(f'a label is text or {{"label": …, "annotations": […]}}, got {shown(item)}')
        labels.append(item)
    if sentences > MAX_PROMPTS:
        raise ValueError(f"{sentences} annotations, at most {MAX_PROMPTS} are allowed")
    return labels


_list_of_json = written_as_json("[")
_object_of_json = written_as_json("{")


def _texts(value: object) -> object:
    value = _list_of_json(value)
    return [value] if isinstance(value, str) else value


def _each_once(templates: list[str]) -> list[str]:
    return list(dict.fromkeys(templates))


Text = Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARS, pattern=NOT_BLANK)]
TaskName = Annotated[str, AfterValidator(check_task_name)]
Template = Annotated[Text, AfterValidator(_with_place_for_label)]
# `json_schema_input_type` is what a caller may write, and what the OpenAPI document shows
TaskOrTasks = Annotated[
    TaskName | Annotated[list[TaskName], AtMost(MAX_TASKS), Field(min_length=1)] | None,
    BeforeValidator(
        _list_of_json,
        json_schema_input_type=TaskName | Annotated[list[TaskName], Field(min_length=1, max_length=MAX_TASKS)] | None,
    ),
]
ONE_OR_MANY = BeforeValidator(_texts, json_schema_input_type=Text | list[Text])
"""Of a list of texts: it may be one text, or its JSON."""
Templates = Annotated[list[Template], AtMost(MAX_TEMPLATES), AfterValidator(_each_once), ONE_OR_MANY]


class Label(Written):
    """One answer the model may give, optionally described by sentences that stand for it instead of the template."""

    model_config = Strict.model_config

    label: Text = Field(description="Its name, which the answer has")
    annotations: Annotated[list[Text], Field(max_length=MAX_PROMPTS, fail_fast=True)] = Field(
        default_factory=list, description="Sentences that describe it; averaged in embedding space"
    )


_LABEL_FIELDS = len(Label.model_fields)
Labels = Annotated[
    list[Label],
    AtMost(MAX_LABELS),
    BeforeValidator(
        _split_labels, json_schema_input_type=str | Annotated[list[str | Label], Field(max_length=MAX_LABELS)]
    ),
]
Thresholds = Annotated[
    dict[Text, Annotated[float, Field(ge=0, le=1)]], AtMost(MAX_LABELS), BeforeValidator(_object_of_json)
]


class Question(Strict):
    """One label set and how to score it: softmax over the labels, or each on its own with `multi_label`."""

    candidate_labels: Labels = Field(min_length=1, description='"cat, dog", ["cat", "dog"], or labels with annotations')
    hypothesis_template: Templates = Field(
        default=[DEFAULT_HYPOTHESIS_TEMPLATE],
        min_length=1,
        description="One or several sentences with {} for the label; used for labels without annotations",
    )
    multi_label: bool = Field(default=False, description="Score each label on its own instead of against the others")
    unknown: bool = Field(
        default=False, description=f"Answer {UNKNOWN_LABEL!r} too, with how likely it is that no label fits"
    )
    top_k: int | None = Field(default=None, ge=1, description="Answer only the best k labels")
    threshold: float | None = Field(default=None, ge=0, le=1, description="Answer only labels that score at least this")
    thresholds: Thresholds = Field(
        default={}, description="By label, for those that need another threshold than the others"
    )

    @model_validator(mode="after")
    def _labels_can_be_told_apart(self) -> Self:
        labels = [each.label for each in self.candidate_labels]
        if pair := twins(labels):
            raise ValueError(_twice(*pair))
        if self.unknown:
            self._check_unknown(labels)
        if len(labels) == 1 and not self.multi_label:
            raise ValueError(
                f"a lone label ({shorten(labels[0])!r}) would always score 1.0: add a second label or set multi_label"
            )
        described = [each for each in self.candidate_labels if len(each.annotations) > 1]
        for each, annotations in zip(described, distinct_each([each.annotations for each in described]), strict=True):
            if annotations is not each.annotations:
                object.__setattr__(each, "annotations", annotations)
        if self.thresholds and labels:
            object.__setattr__(self, "thresholds", _by_label(self.thresholds, self._answerable(labels)))
        for template in self.hypothesis_template:
            if template.count("{}") > 1:
                self._check_prompts_are_short(template)
        return self

    def _answerable(self, labels: list[str]) -> list[str]:
        return [*labels, UNKNOWN_LABEL] if self.unknown else labels

    def _check_unknown(self, labels: list[str]) -> None:
        if self.multi_label:
            raise ValueError(
                "unknown is given with multi_label, which scores each label on its own, so that all score low where "
                "none fits: give one of them, or a threshold in place of unknown"
            )
        if pair := twins(self._answerable(labels)):
            raise ValueError(f"the label {shorten(pair[0])!r} is what unknown answers: call it otherwise")

    def _check_prompts_are_short(self, template: str) -> None:
        longest = max((len(each.label) for each in self.candidate_labels if not each.annotations), default=0)
        places = template.count("{}")
        chars = len(template) + places * (longest - len("{}"))
        if chars > MAX_PROMPT_CHARS:
            raise ValueError(
                f"{shorten(template)!r} is {chars} characters with a label in its {places} places, "
                f"at most {MAX_PROMPT_CHARS} are allowed"
            )

    def threshold_of(self, label: str) -> float:
        """What `label` must score to be answered."""
        return self.thresholds.get(label, self.threshold or 0.0)

    def prompts(self, label: Label) -> list[str]:
        """The sentences whose mean embedding stands for `label`."""
        return label.annotations or [template.replace("{}", label.label) for template in self.hypothesis_template]

    @property
    def answered_labels(self) -> int:
        """How many labels are answered at most."""
        return min(len(self.candidate_labels) + self.unknown, self.top_k or MAX_LABELS + 1)


def _twice(label: str, twin: str) -> str:
    if label == twin:
        return f"the label {shorten(label)!r} is given twice: every label once"
    return (
        f"the labels {shorten(label)!r} and {shorten(twin)!r} are the same to the model, which does not see upper "
        "case, how accents are encoded, or how many blanks there are: give one of them"
    )


def _by_label(thresholds: Mapping[str, float], labels: Sequence[str]) -> dict[str, float]:
    """The thresholds under the very texts of the labels, where they were named by one that is the same to the model."""
    if thresholds.keys() <= set(labels):
        return dict(thresholds)
    label_of = {same_to_the_model(label): label for label in labels}
    found: dict[str, float] = {}
    for name, threshold in thresholds.items():
        label = label_of.get(same_to_the_model(name))
        if label is None:
            raise ValueError(f"thresholds names {shorten(name)!r}, which is not one of the candidate_labels")
        if label in found:
            raise ValueError(f"thresholds names the label {shorten(label)!r} twice: give one of them")
        found[label] = threshold
    return found


def check_prompts(questions: Iterable[Question]) -> None:
    """Raises ValueError if the questions have more sentences together than are embedded for one request."""
    prompts = sum(
        len(label.annotations) or len(asked.hypothesis_template)
        for asked in questions
        for label in asked.candidate_labels
    )
    if prompts > MAX_PROMPTS:
        raise ValueError(_too_many(prompts))


def _too_many(prompts: int) -> str:
    return f"{prompts} prompts (labels x annotations or templates), at most {MAX_PROMPTS} are allowed"


def _prompts_at_least(task: object) -> int:
    """How many a task of a JSON body has, going by what can be counted before it is read."""
    labels = task.get("candidate_labels") if isinstance(task, dict) else None
    try:
        labels = _split_labels(labels)
    except ValueError:
        return 0  # whose fault is told where the labels are read
    if not isinstance(labels, list):
        return 0
    annotations = (each.get("annotations") for each in labels if isinstance(each, dict))
    return len(labels) + sum(len(each) - 1 for each in annotations if isinstance(each, list) and each)


class Parameters(Question):
    """The parameters of /classify: one question, several named ones in `tasks`, or saved ones by name in `task`.

    What is said beside `tasks` (a template, `multi_label`, `top_k`, `threshold`) holds for every task that does not say
    otherwise. What is said beside `task` comes before what was saved.
    """

    candidate_labels: Labels = Field(default=[], description='"cat, dog", ["cat", "dog"], or labels with annotations')
    tasks: Annotated[dict[Text, Question], AtMost(MAX_TASKS), BeforeValidator(_object_of_json)] = Field(
        default={}, description="Several questions about one image, instead of candidate_labels"
    )
    task: TaskOrTasks = Field(
        default=None, description="A saved task by its name, or a list of them, instead of candidate_labels"
    )
    taught: bool = Field(
        default=True, description="Answer a saved task by what annotated images have taught it; else by its words alone"
    )

    @model_validator(mode="before")
    @classmethod
    def _tasks_inherit(cls, data: Any) -> Any:
        data = _object_of_json(data)
        if not isinstance(data, dict) or "tasks" not in data:
            return data
        try:
            tasks = _object_of_json(data["tasks"])
        except ValueError:
            return data  # whose fault is told where the tasks are read
        if isinstance(tasks, dict) and len(tasks) <= MAX_TASKS:
            shared = {name: data[name] for name in _SHARED_BY_TASKS if name in data}
            tasks = {
                name: {**shared, **without_nulls(Question, task)} if isinstance(task, dict) else task
                for name, task in tasks.items()
            }
            if (prompts := sum(map(_prompts_at_least, tasks.values()))) > MAX_PROMPTS:
                raise ValueError(_too_many(prompts))
        return {**data, "tasks": tasks}

    @model_validator(mode="after")
    def _asks_one_way(self) -> Self:
        ways = {"candidate_labels": self.candidate_labels, "tasks": self.tasks, "task": self.task}
        given = [name for name, value in ways.items() if value]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given together: give one of them")
        if not given:
            raise ValueError('candidate_labels is missing: give at least two, such as ["cat", "dog"]')
        if "taught" in self.model_fields_set and not self.task:
            raise ValueError("taught is given without task: only a saved task is taught, leave it out")
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
        beside = self.model_dump(exclude_unset=True, exclude={"task", "taught"})
        questions = {name: {**saved[name], **beside} for name in self.task_names}
        if isinstance(self.task, str):
            return validate(Parameters, questions[self.task])
        return validate(Parameters, {"tasks": questions})


class Task(Question):
    """The body of PUT /tasks/{task}, and its answer: a question, and a description for people."""

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
        members = self.model_dump(exclude_unset=True, exclude={"taught"})
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
