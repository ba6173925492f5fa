"""The contract: every request, response, limit and error of Wordsight, defined once.

The Lambdas, the containers, the command line and the OpenAPI document all import this module, and it imports nothing
but the standard library and pydantic. It speaks the shape of Hugging Face's zero-shot-image-classification task
(https://huggingface.co/docs/api-inference/tasks/zero-shot-image-classification) and extends it: several images,
several tasks, labels described by sentences, independent (`multi_label`) scores.

A request travels twice: as JSON, a raw image or a form from the caller to the Lambda, and as multipart from the Lambda
to the container. `parse_request` reads all of these, so the same image gives the same scores however it was sent.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.parser import BytesHeaderParser
from email.utils import collapse_rfc2231_value
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self, TypedDict, TypeVar, get_args
from urllib.parse import parse_qsl, urlencode

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

# --- limits ----------------------------------------------------------------

MAX_INLINE_IMAGE_BYTES = 4 * 1024 * 1024
"""Images sent through the API, all of one request together: Lambda takes 6 MB, and base64 costs a third of that."""
MAX_INVOCATION_BYTES = 24_000_000
"""Images that reach the container in one invocation, when the Lambda reads them from the bucket (`s3_key`)."""
MAX_ANSWER_BYTES = 6_000_000
"""One response with its escapes: Lambda hands back 6 MB, the headers included."""
MAX_IMAGE_PIXELS = 50_000_000
MAX_IMAGE_ASPECT_RATIO = 100
"""The shorter side is scaled to the model's input, so a strip of 1 x 50,000 pixels would ask for gigabytes."""
MAX_IMAGES = 64
MAX_LABELS = 10_000
MAX_PROMPTS = 20_000
"""Sentences to embed: every annotation, and for a label without annotations one per hypothesis template."""
MAX_SCORES = 50_000
"""Scores answered in one response: images x labels, or images x top_k."""
MAX_TASKS = 32
MAX_TEXTS = 500
"""Texts to embed: as vectors of 768 numbers they just fit into MAX_ANSWER_BYTES."""
MAX_TEXT_CHARS = 1_000
MAX_TASK_NAME_CHARS = 63

UPLOADS_PREFIX = "uploads/"
"""Where in the data bucket an `s3_key` may point."""
MAX_S3_KEY_BYTES = 1024

# The timeout ladder. Each step gives up before the one that waits for it, so that a caller hears our sentence and not
# a gateway's. One attempt: botocore would retry a read timeout, and the model would do the work twice.
CONTAINER_TIMEOUT_S = 20
SDK_CONNECT_TIMEOUT_S = 2
SDK_READ_TIMEOUT_S = 22
SDK_MAX_ATTEMPTS = 1
LAMBDA_TIMEOUT_S = 27
API_TIMEOUT_S = 29

DEFAULT_HYPOTHESIS_TEMPLATE = "This is a photo of {}."

MODEL_VERSION_HEADER = "x-model-version"
REQUEST_ID_HEADER = "x-request-id"
SERVER_TIMING_HEADER = "server-timing"
WARNING_HEADER = "warning"
EXPOSED_HEADERS = (
    *(MODEL_VERSION_HEADER, REQUEST_ID_HEADER, SERVER_TIMING_HEADER, WARNING_HEADER),
    *("etag", "location", "retry-after"),
)
"""What scripts of other origins may read of a response."""
PROBLEM_MEDIA_TYPE = "application/problem+json"

# --- errors ----------------------------------------------------------------


class ProblemError(Exception):
    """A failure with its sentence for the caller, rendered as RFC 9457 problem details by `body`.

    Raised near the cause; each process turns it into HTTP in exactly one place.
    """

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s

    def body(self, instance: str | None = None) -> dict[str, Any]:
        """The problem as JSON-ready members; `instance` is the request id.

        `error` repeats `detail` because huggingface_hub's client prints only that member.
        """
        members: dict[str, Any] = {
            "type": f"urn:wordsight:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "error": self.detail,
        }
        if instance is not None:
            members["instance"] = instance
        if self.retry_after_s is not None:
            members["retry_after_s"] = self.retry_after_s
        return members


class BadRequest(ProblemError):
    status, slug, title = 400, "bad-request", "The request breaks the contract"


class Forbidden(ProblemError):
    """Only API Gateway answers with it: the function never sees who is asking."""

    status, slug, title = 403, "forbidden", "The caller is not let in"


class NotFound(ProblemError):
    status, slug, title = 404, "not-found", "There is no such thing"


class Conflict(ProblemError):
    status, slug, title = 409, "conflict", "It can't be done in the present state"


class PreconditionFailed(ProblemError):
    """An update would have overwritten another one that its writer had not seen."""

    status, slug, title = 412, "precondition-failed", "It was changed meanwhile"


class PayloadTooLarge(ProblemError):
    status, slug, title = 413, "payload-too-large", "The request is too large"


class UnsupportedMediaType(ProblemError):
    status, slug, title = 415, "unsupported-media-type", "This media type is not understood"


class UnprocessableImage(ProblemError):
    status, slug, title = 422, "unprocessable-image", "The image can't be read"


class TooManyRequests(ProblemError):
    status, slug, title = 429, "too-many-requests", "Too many requests"


class InternalError(ProblemError):
    status, slug, title = 500, "internal-error", "Wordsight failed"


class BadGateway(ProblemError):
    status, slug, title = 502, "bad-gateway", "The model failed"


class ServiceUnavailable(ProblemError):
    status, slug, title = 503, "service-unavailable", "The model is not available now"


class GatewayTimeout(ProblemError):
    status, slug, title = 504, "gateway-timeout", "The model did not answer in time"


PROBLEMS: dict[int, type[ProblemError]] = {
    cls.status: cls
    for cls in (
        BadRequest,
        Forbidden,
        NotFound,
        Conflict,
        PreconditionFailed,
        PayloadTooLarge,
        UnsupportedMediaType,
        UnprocessableImage,
        TooManyRequests,
        InternalError,
        BadGateway,
        ServiceUnavailable,
        GatewayTimeout,
    )
}


class Problem(BaseModel):
    """Problem details (RFC 9457): the body of every answer that is not a success, and of a bad item in a list."""

    type: str
    title: str
    status: int
    detail: str
    error: str = Field(description="The same sentence as `detail`: Hugging Face's client shows this member")
    instance: str | None = Field(default=None, description="The request id; quote it when asking for help")
    retry_after_s: int | None = None


# --- requests --------------------------------------------------------------


Model = TypeVar("Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError(f"must not be blank, got {text!r}")
    return text


def _with_place_for_label(template: str) -> str:
    if "{}" not in template:
        raise ValueError(f"a hypothesis template needs {{}} where the label goes, got {_shorten(template)!r}")
    return template


def check_task_name(name: str) -> str:
    """The name itself. Raises ValueError for one that no saved task may have."""
    if not _TASK_NAME.fullmatch(name):
        raise ValueError(
            f"a saved task's name has 1 to {MAX_TASK_NAME_CHARS} lower-case letters, digits, _ and -, "
            f"a letter or digit first, got {_shorten(name)!r}"
        )
    return name


def _split_labels(value: object) -> object:
    """`"cat, dog"` -> `["cat", "dog"]`; a plain string in a list is a label without annotations."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list):
        for item in value:
            if not isinstance(item, str | dict | Label):
                got = _shorten(json.dumps(item, default=str))
                raise ValueError(f'a label is text or {{"label": …, "annotations": […]}}, got {got}')
        return [{"label": item} if isinstance(item, str) else item for item in value]
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


_TASK_NAME = re.compile(f"[a-z0-9][a-z0-9_-]{{0,{MAX_TASK_NAME_CHARS - 1}}}")

Text = Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARS), AfterValidator(_not_blank)]
TaskName = Annotated[str, AfterValidator(check_task_name)]
Template = Annotated[Text, AfterValidator(_with_place_for_label)]


class Label(_Strict):
    """One answer the model may give, optionally described by sentences that stand for it instead of the template."""

    label: Text
    annotations: list[Text] = Field(
        default_factory=list, description="Sentences that describe it; averaged in embedding space"
    )


# `json_schema_input_type` is what a caller may write, and what the OpenAPI document shows
Labels = Annotated[
    list[Label],
    BeforeValidator(
        _split_labels, json_schema_input_type=str | Annotated[list[str | Label], Field(max_length=MAX_LABELS)]
    ),
]
Templates = Annotated[list[Template], BeforeValidator(_listed, json_schema_input_type=Template | list[Template])]


class Question(_Strict):
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
                raise ValueError(f"the label {_shorten(each.label)!r} is given twice: every label once")
            seen.add(each.label)
        if len(seen) == 1 and not self.multi_label:
            raise ValueError(
                f"a lone label ({_shorten(next(iter(seen)))!r}) would always score 1.0: "
                "add a second label or set multi_label"
            )
        if seen and (unknown := [label for label in self.thresholds if label not in seen]):
            raise ValueError(f"thresholds names {_shorten(unknown[0])!r}, which is not one of the candidate_labels")
        return self

    def threshold_of(self, label: str) -> float:
        """What `label` must score to be answered."""
        return self.thresholds.get(label, self.threshold or 0.0)

    def prompts(self, label: Label) -> list[str]:
        """The sentences whose mean embedding stands for `label`."""
        return label.annotations or [template.replace("{}", label.label) for template in self.hypothesis_template]

    @property
    def answered_labels(self) -> int:
        return min(len(self.candidate_labels), self.top_k or MAX_LABELS)


_SHARED_BY_TASKS = ("hypothesis_template", "multi_label", "top_k", "threshold")


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
    task: TaskName | Annotated[list[TaskName], Field(min_length=1, max_length=MAX_TASKS)] | None = Field(
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

    def with_saved(self, saved: Mapping[str, Mapping[str, Any]]) -> Parameters:
        """The same with the questions of its saved tasks in their places, each given by name as JSON.

        Raises BadRequest if together they are more than one request may ask.
        """
        beside = self.model_dump(exclude_unset=True, exclude={"task"})
        questions = {name: {**saved[name], **beside} for name in self.task_names}
        if isinstance(self.task, str):
            return validate(Parameters, questions[self.task])
        return validate(Parameters, {"tasks": questions})


def _fits_s3(key: str) -> str:
    if (size := len(key.encode(errors="replace"))) > MAX_S3_KEY_BYTES:
        raise ValueError(f"an s3_key has at most {MAX_S3_KEY_BYTES} bytes, got {size}")
    return key


class S3Object(_Strict):
    """An image in the data bucket, uploaded before."""

    s3_key: Annotated[str, StringConstraints(min_length=len(UPLOADS_PREFIX) + 1), AfterValidator(_fits_s3)]


def _check_sources(value: object) -> object:
    for source in value if isinstance(value, list) else [value]:
        match source:
            case str():
                pass
            case {"s3_key": str(key), **others} if not others:
                if not key.startswith(UPLOADS_PREFIX):
                    raise ValueError(f"an s3_key must start with {UPLOADS_PREFIX!r}, got {_shorten(key)!r}")
            case _:
                got = _shorten(json.dumps(source, default=str))
                raise ValueError(f'an image is base64 text or {{"s3_key": "{UPLOADS_PREFIX}…"}}, got {got}')
    return value


ImageField = Annotated[str | S3Object, BeforeValidator(_check_sources)]
"""One image of a JSON body."""


class ClassifyBody(_Strict):
    """The JSON body of POST /classify."""

    inputs: Annotated[str | S3Object | list[str | S3Object], BeforeValidator(_check_sources)] = Field(
        description="An image as base64, or a list of images"
    )
    parameters: Parameters


class EmbedInputs(_Strict):
    images: Annotated[list[str | S3Object], BeforeValidator(_check_sources)] = Field(
        default=[], max_length=MAX_IMAGES, description="Images as base64"
    )
    texts: Annotated[list[Text], BeforeValidator(_listed, json_schema_input_type=Text | list[Text])] = Field(
        default=[], max_length=MAX_TEXTS
    )


class EmbedBody(_Strict):
    """The JSON body of POST /embed."""

    inputs: EmbedInputs


class InspectBody(_Strict):
    """What the Lambda asks of images before it keeps them, as JSON."""

    inputs: Annotated[list[str | S3Object], BeforeValidator(_check_sources)]


ImageSource = bytes | S3Object | ProblemError
"""Where an image comes from, or why it can't: one bad image of a list must not lose the others."""


@dataclass(frozen=True)
class ClassifyRequest:
    """What POST /classify asks, whatever its encoding. `listed`: the answer is a list, even of one."""

    operation: ClassVar[str] = "classify"
    images: list[ImageSource]
    parameters: Parameters
    listed: bool = False

    def __post_init__(self) -> None:
        _check_count(self.images)
        scores = len(self.images) * sum(q.answered_labels for q in self.parameters.questions.values())
        if scores > MAX_SCORES:
            raise BadRequest(
                f"{len(self.images)} images x labels is {scores} scores, at most {MAX_SCORES} are answered: "
                "set top_k or send fewer images"
            )

    def fields(self) -> dict[str, Any]:
        """Everything but the images, as form fields holding JSON."""
        return {"parameters": self.parameters.model_dump(exclude_unset=True)}

    def with_saved_tasks(self, saved: Mapping[str, Mapping[str, Any]]) -> ClassifyRequest:
        """The same request with `Parameters.with_saved`. Raises BadRequest."""
        return replace(self, parameters=self.parameters.with_saved(saved))


@dataclass(frozen=True)
class EmbedRequest:
    """What POST /embed asks."""

    operation: ClassVar[str] = "embed"
    images: list[ImageSource]
    texts: list[str] = field(default_factory=list)
    listed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.images and not self.texts:
            raise BadRequest("nothing to embed: give inputs.images, inputs.texts or both")
        if len(self.images) > MAX_IMAGES:
            raise BadRequest(f"{len(self.images)} images, at most {MAX_IMAGES} are allowed in one request")

    def fields(self) -> dict[str, Any]:
        """Everything but the images, as form fields holding JSON."""
        return {"texts": self.texts}


@dataclass(frozen=True)
class InspectRequest:
    """What the API asks the container about images before it keeps them. No route asks it."""

    operation: ClassVar[str] = "inspect"
    images: list[ImageSource]
    listed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_count(self.images)

    def fields(self) -> dict[str, Any]:
        """Nothing is asked but by the images."""
        return {}


Request = ClassifyRequest | EmbedRequest | InspectRequest
Operation = Literal["classify", "embed", "inspect"]


def _check_count(images: Sequence[ImageSource]) -> None:
    if not 1 <= len(images) <= MAX_IMAGES:
        raise BadRequest(f"{len(images)} images, between 1 and {MAX_IMAGES} are allowed in one request")


def parse_request(
    content_type: str | None,
    body: bytes,
    query: Mapping[str, Sequence[str]] | None = None,
    *,
    operation: Operation | None = None,
    max_image_bytes: int = MAX_INLINE_IMAGE_BYTES,
) -> Request:
    """Read a request in any of its encodings: JSON, a raw image with parameters in the query, or a form.

    `operation` is fixed by the route; the container passes None and the body names it ("classify" if it does not).

    Raises BadRequest, UnsupportedMediaType or PayloadTooLarge with a sentence for the caller. In a list of images, a
    bad one becomes a ProblemError in its place instead.
    """
    media_type = (content_type or "").split(";", 1)[0].strip().lower()
    query = query or {}
    if media_type == "application/json":
        if query:
            raise BadRequest(f"the parameters of a JSON request go in its body, got {', '.join(query)} in the query")
        request = _from_json(body, operation)
    else:
        request = _from_fields(*read_fields(content_type, body, query), operation)
    if operation is None and isinstance(request, ClassifyRequest) and request.parameters.task:
        raise BadRequest("the model knows no saved tasks: the API looks them up, send candidate_labels or tasks here")
    check_bytes(request.images, max_image_bytes)
    return request


def read_fields(
    content_type: str | None, body: bytes, query: Mapping[str, Sequence[str]]
) -> tuple[list[bytes], Mapping[str, Sequence[str]]]:
    """Images and text fields of a form, or of one image as it is; a field may also stand in the query.

    Raises BadRequest or UnsupportedMediaType.
    """
    media_type = (content_type or "").split(";", 1)[0].strip().lower()
    if media_type == "multipart/form-data":
        images, fields = _read_form(content_type or "", body)
        return images, _merge(fields, query)
    if media_type.startswith("image/") or media_type == "application/octet-stream":
        if not body:
            raise BadRequest("the body is empty: send the image's bytes (curl: --data-binary @image.jpg)")
        return [body], query
    raise UnsupportedMediaType(_advise_media_type(media_type))


def _advise_media_type(media_type: str) -> str:
    if media_type == "application/x-www-form-urlencoded":
        return (
            "application/x-www-form-urlencoded is what curl says of --data when it is told nothing: "
            "add -H 'content-type: image/jpeg' for an image, or -H 'content-type: application/json' for JSON"
        )
    got = f"content-type {media_type!r}" if media_type else "no content-type"
    return f"{got}, allowed are application/json, image/*, application/octet-stream and multipart/form-data"


def check_bytes(images: Iterable[ImageSource], max_image_bytes: int = MAX_INLINE_IMAGE_BYTES) -> None:
    """Raises PayloadTooLarge if the images that were sent are larger together than one request may be."""
    size = sum(len(image) for image in images if isinstance(image, bytes))
    if size > max_image_bytes:
        raise PayloadTooLarge(
            f"{size:,} bytes of images, at most {max_image_bytes:,} are allowed in one request: shrink them to 1024 px "
            "on the longer side, which the model can't tell from the original"
        )


def _from_json(body: bytes, operation: Operation | None) -> Request:
    data = json_object(body)
    if operation is None:
        operation = _check_operation(data.pop("operation", "classify"))
    if operation == "embed":
        embed = validate(EmbedBody, data).inputs
        return EmbedRequest([source_or_problem(source) for source in embed.images], embed.texts)
    if operation == "inspect":
        return InspectRequest([source_or_problem(source) for source in validate(InspectBody, data).inputs])
    classify = validate(ClassifyBody, data)
    if isinstance(classify.inputs, list):
        images = [source_or_problem(source) for source in classify.inputs]
        return ClassifyRequest(images, classify.parameters, listed=True)
    return ClassifyRequest([_decode(classify.inputs)], classify.parameters)


def json_object(body: bytes) -> dict[str, Any]:
    """A body as the JSON object it must be. Raises BadRequest."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not valid JSON: {_shorten(str(error), 120)}") from None
    if not isinstance(data, dict):
        raise BadRequest(f"the body must be a JSON object, got {_shorten(json.dumps(data))}")
    return data


def _decode(source: str | S3Object) -> bytes | S3Object:
    if isinstance(source, S3Object):
        return source
    if source[:8].lower().startswith(("http://", "https://", "s3://")):
        raise BadRequest(
            f"{_shorten(source)!r} is a URL, which is never fetched: send the image's bytes as base64, "
            'or {"s3_key": "' + UPLOADS_PREFIX + '…"}'
        )
    if source.startswith("data:"):
        source = source.partition(",")[2]
    try:
        # `base64 file` and Python's encodebytes wrap lines, so white space is not an error
        image = base64.b64decode("".join(source.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"the image is not valid base64 ({error}), got {_shorten(source)!r}") from None
    if not image:
        raise BadRequest("the image is empty: send its bytes as base64")
    return image


def source_or_problem(source: str | S3Object) -> ImageSource:
    """What an image of a JSON body stands for; one that is no base64 becomes its problem."""
    try:
        return _decode(source)
    except ProblemError as problem:
        return problem


def _check_operation(value: object) -> Operation:
    if value == "classify" or value == "embed" or value == "inspect":
        return value
    raise BadRequest(f"operation {_shorten(str(value))!r} is unknown, allowed are {', '.join(get_args(Operation))}")


def parse_json(model: type[Model], content_type: str | None, body: bytes) -> Model:
    """The body of a request that is JSON only. Raises BadRequest or UnsupportedMediaType."""
    media_type = (content_type or "").split(";", 1)[0].strip().lower()
    if media_type != "application/json":
        got = f"content-type {media_type!r}" if media_type else "no content-type"
        raise UnsupportedMediaType(f"{got}, allowed is application/json: add -H 'content-type: application/json'")
    return validate(model, json_object(body))


def validate(model: type[Model], data: object) -> Model:
    """`data` as a model of this contract. Raises BadRequest with a sentence for each of the first faults."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise BadRequest("; ".join(_sentences(error))) from None


def _sentences(error: ValidationError) -> Iterator[str]:
    faults = error.errors(include_url=False, include_context=False)
    for fault in faults[:3]:
        where = ".".join(str(part) for part in fault["loc"] if not str(part).startswith(("function-", "list[")))
        what = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "value_error":
            got = ""
        elif fault["type"] == "missing":
            got, what = "", "is missing"
        elif fault["type"] == "extra_forbidden":
            got, what = "", "is not a known field"
        else:
            what = what[0].lower() + what[1:]
            got = f", got {_shorten(json.dumps(fault['input'], default=str))}"
        yield f"{where}: {what}{got}" if where else f"{what}{got}"
    if len(faults) > 3:
        yield f"and {len(faults) - 3} more"


def _shorten(text: str, chars: int = 60) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"


# --- forms -----------------------------------------------------------------

_IMAGE_PARTS = ("image", "inputs")
MAX_REMEMBERED_HEAD_BYTES = 256
_FIELDS = ("parameters", *Parameters.model_fields)


def _from_fields(images: list[bytes], fields: Mapping[str, Sequence[str]], operation: Operation | None) -> Request:
    remaining = dict(fields)
    if operation is None:
        operation = _check_operation(_only(remaining.pop("operation", ["classify"]), "operation"))
    if operation == "embed":
        texts = remaining.pop("texts", None)
        if remaining:
            raise BadRequest(f"{', '.join(remaining)}: not a known field, allowed are image and texts")
        embed = validate(EmbedInputs, {"texts": _json_or_list(texts, "texts") if texts else []})
        return EmbedRequest(list(images), embed.texts)
    if operation == "inspect":
        if remaining:
            raise BadRequest(f"{', '.join(remaining)}: not a known field, allowed is image")
        return InspectRequest(list(images))
    if unknown := [name for name in remaining if name not in _FIELDS]:
        raise BadRequest(f"{', '.join(unknown)}: not a known field, allowed are image, {', '.join(_FIELDS)}")
    return ClassifyRequest(list(images), validate(Parameters, _parameters(remaining)), listed=len(images) > 1)


def _parameters(fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, values in fields.items():
        if name in ("candidate_labels", "hypothesis_template", "task"):
            data[name] = _json_or_list(values, name)
        elif name in ("tasks", "thresholds", "parameters"):
            data[name] = _json(_only(values, name), name)
        else:
            data[name] = _only(values, name)
    parameters = data.pop("parameters", {})
    if not isinstance(parameters, dict):
        raise BadRequest(f"parameters must be a JSON object, got {_shorten(json.dumps(parameters))}")
    if twice := sorted(parameters.keys() & data.keys()):
        raise BadRequest(f"{', '.join(twice)} is given both in parameters and beside it: give it once")
    return {**parameters, **data}


def _json_or_list(values: Sequence[str], name: str) -> object:
    """One value is JSON if it looks like it, else plain text; a repeated field is a list, and its commas are kept."""
    if len(values) > 1:
        return list(values)
    return _json(values[0], name) if values[0].lstrip().startswith("[") else values[0]


def _json(value: str, name: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{name} is not valid JSON ({error}), got {_shorten(value)!r}") from None


def _only(values: Sequence[str], name: str) -> str:
    if len(values) != 1:
        raise BadRequest(f"{name} is given {len(values)} times: give it once")
    return values[0]


def _merge(fields: Mapping[str, Sequence[str]], query: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    if twice := sorted(fields.keys() & query.keys()):
        raise BadRequest(f"{', '.join(twice)} is given both in the form and in the query: give it once")
    return {**fields, **query}


def _read_form(content_type: str, body: bytes) -> tuple[list[bytes], dict[str, list[str]]]:
    """Images and text fields of a multipart/form-data body (RFC 7578), in order.

    The parts are cut as bytes and only their headers are parsed as text: image bytes pass through untouched.
    """
    head = b"content-type: " + content_type.encode("latin-1", "replace")
    boundary = _header_parameter(head, "content-type", "boundary")
    if not boundary:
        raise BadRequest("the form's content-type names no boundary: let your HTTP client set this header")
    delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
    _preamble, *parts = (b"\r\n" + body).split(delimiter)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise BadRequest(f"the form does not end with its boundary {_shorten(boundary)!r}: the body was cut")
    images: list[bytes] = []
    fields: dict[str, list[str]] = {}
    for part in parts[:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _header_parameter(head.strip(), "content-disposition", "name")
        if name in _IMAGE_PARTS:
            if _header_parameter(head.strip(), "content-disposition", "filename") is None:
                raise BadRequest(f"the field {name} is text, not a file: with curl write -F {name}=@image.jpg")
            images.append(content)
        elif name:
            fields.setdefault(name, []).append(_utf8(content, name))
        else:
            raise BadRequest("a part of the form has no name: every part needs content-disposition: form-data; name=…")
    return images, fields


def _header_parameter(head: bytes, header: str, parameter: str) -> str | None:
    """A parameter of a header. The Lambda's parts have always the same few, which are not parsed again."""
    read = _read_parameter if len(head) <= MAX_REMEMBERED_HEAD_BYTES else _read_parameter.__wrapped__
    return read(head, header, parameter)


@lru_cache(maxsize=256)
def _read_parameter(head: bytes, header: str, parameter: str) -> str | None:
    value = BytesHeaderParser().parsebytes(head).get_param(parameter, header=header)
    return None if value is None else collapse_rfc2231_value(value)


def _utf8(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadRequest(f"the field {name} is not UTF-8 text; images go in a field called image") from None


def to_multipart(request: Request, images: Sequence[bytes]) -> tuple[str, bytes]:
    """(content type, body) of `request` with `images` as raw bytes: what the Lambda sends to the container."""
    boundary = secrets.token_hex(16)
    parts: list[bytes] = []
    for name, value in {"operation": request.operation, **request.fields()}.items():
        text = value if isinstance(value, str) else json.dumps(value)
        parts += [f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()]
    for image in images:
        head = f'--{boundary}\r\ncontent-disposition: form-data; name="image"; filename="image"\r\n\r\n'
        parts += [head.encode(), image, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)


# --- answers ---------------------------------------------------------------


class LabelScore(TypedDict):
    """One label and how well it fits, between 0 and 1."""

    label: str
    score: float


class Embeddings(TypedDict):
    """The answer of POST /embed: unit vectors, each as long as the model's projection."""

    images: list[list[float]]
    texts: list[list[float]]


class Inspection(TypedDict):
    """What "inspect" answers of one image. `perceptual_hash`: see `model.resources.perceptual_hash`."""

    sha256: str
    size_bytes: int
    media_type: str
    width: int
    height: int
    perceptual_hash: str


class Health(TypedDict):
    """The answer of GET /health."""

    status: str
    endpoint: str


Answers = Mapping[str, list[LabelScore]]
"""One image's answers by question, named as in `Parameters.questions`; best label first."""


def render_classify(request: ClassifyRequest, answers: Sequence[Answers | ProblemError]) -> Any:
    """The response body for one `Answers` or problem per image of `request`, in the shape that was asked for.

    A question answers with a list of LabelScore, `tasks` with a dict of such lists; a list of images with a list of
    these, in which a bad image's problem stands in its place. A lone image's problem is raised.
    """
    named = bool(request.parameters.tasks)
    items = [a if isinstance(a, ProblemError) else dict(a) if named else a[""] for a in answers]
    return arrange(items, listed=request.listed)


def arrange(items: Sequence[Any], *, listed: bool) -> Any:
    """A list of items with problems rendered in their places, or the lone item itself; its problem is raised."""
    if listed:
        return [item.body() if isinstance(item, ProblemError) else item for item in items]
    (item,) = items
    if isinstance(item, ProblemError):
        raise item
    return item


# --- the Lambda and the container ------------------------------------------

CUSTOM_ATTRIBUTES_HEADER = "X-Amzn-SageMaker-Custom-Attributes"
"""The one header that InvokeEndpoint carries both ways; at most 1024 visible ASCII characters."""

MAX_CUSTOM_ATTRIBUTES_CHARS = 1024


@dataclass(frozen=True)
class InvocationAttributes:
    """What the Lambda tells the container beside the body."""

    request_id: str = ""
    deadline_epoch_ms: int | None = None
    """When nobody waits for the answer any more, as Unix time."""

    def encode(self) -> str:
        pairs = {"request_id": self.request_id[:128]}
        if self.deadline_epoch_ms is not None:
            pairs["deadline_epoch_ms"] = str(self.deadline_epoch_ms)
        return urlencode(pairs)

    @classmethod
    def decode(cls, text: str | None) -> InvocationAttributes:
        """Read what `encode` wrote. Anything else is ignored: the container also answers callers who send nothing."""
        pairs = dict(parse_qsl(text or ""))
        deadline = pairs.get("deadline_epoch_ms", "")
        is_time = deadline.isdecimal() and len(deadline) < 20
        return cls(pairs.get("request_id", ""), int(deadline) if is_time else None)


@dataclass(frozen=True)
class AnswerAttributes:
    """What the container tells the Lambda beside the body."""

    model_version: str = ""
    truncated_prompts: int = 0
    context_tokens: int = 0
    """How many tokens of a text the model reads; CLIP's own limit is 77."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)

    def encode(self) -> str:
        pairs = {
            "model_version": self.model_version[:256],
            "truncated_prompts": str(self.truncated_prompts),
            "context_tokens": str(self.context_tokens),
        }
        timings = "".join(f"&ms.{stage}={duration_ms:.1f}" for stage, duration_ms in self.timings_ms.items())
        return (urlencode(pairs) + timings)[:MAX_CUSTOM_ATTRIBUTES_CHARS]

    @classmethod
    def decode(cls, text: str | None) -> AnswerAttributes:
        """Read what `encode` wrote."""
        pairs = dict(parse_qsl(text or ""))
        return cls(
            pairs.get("model_version", ""),
            int(pairs.get("truncated_prompts", 0)),
            int(pairs.get("context_tokens", 0)),
            {name.removeprefix("ms."): float(value) for name, value in pairs.items() if name.startswith("ms.")},
        )

    def headers(self) -> dict[str, str]:
        """The response headers a caller sees."""
        timings = ", ".join(f"{stage};dur={duration_ms:.1f}" for stage, duration_ms in self.timings_ms.items())
        headers = {MODEL_VERSION_HEADER: self.model_version, SERVER_TIMING_HEADER: timings}
        if self.truncated_prompts:
            headers[WARNING_HEADER] = (
                f'299 wordsight "{self.truncated_prompts} texts are longer than the {self.context_tokens} tokens '
                'the model reads; what follows was left out"'
            )
        return {name: value for name, value in headers.items() if value}
