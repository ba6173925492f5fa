"""Teaching: what annotated images teach about a question's labels at once, without a training. The API and the
container agree here on embeddings, on heads, and on a lesson: the request that makes one and its answer.

A head is a safetensors file, named by its sha256. It says how likely each label is of an image with the unit vector x:
softmax(W x + b), where half of (x - μ)ᵀA(x - μ) is added for labels that have no images. It belongs to one version of
the model and to one question: asked another one, or served by another model, the words answer as if it were not there.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from contract.limits import (
    MAX_EMBEDDING_NUMBERS,
    MAX_HEAD_BYTES,
    MAX_INVOCATION_BYTES,
    MAX_TASKS,
    MAX_TAUGHT_IMAGES,
    MAX_TAUGHT_LABELS,
    MAX_TAUGHT_SCORES,
)
from contract.problems import BadRequest, shorten
from contract.questions import Question
from contract.validation import AtMost, Stored, Strict, json_object_of, validate
from contract.weights import are_finite, read_tensors, write_tensors

NUMBER_BYTES = 4
"""Of an embedding and of a head: little-endian fp32."""
LINEAR = ("weights", "biases")
"""The tensors of a head: W [labels, numbers] and b [labels]."""
OF_IMAGES = ("centre", "metric", "fit")
"""And of how images differ: μ [numbers], A [numbers, numbers], and how well they fit their own labels [2]."""
FOR_TEXT_ONLY = "text_only"
"""And where labels have no images: 1 for these and 0 for the others [labels]."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def _base64_chars(size_bytes: int) -> int:
    return -(-size_bytes // 3) * 4


_COMPACT = json.JSONEncoder(separators=(",", ":"))
_Embedding = Annotated[str, StringConstraints(max_length=_base64_chars(NUMBER_BYTES * MAX_EMBEDDING_NUMBERS))]


def question_digest(question: Question) -> str:
    """sha256 of what label vectors depend on: a question's labels in their order with their sentences, its templates
    and whether each is scored on its own. What else it says, such as a threshold, makes no difference.
    """
    labels = [
        [label.label, *label.annotations] if label.annotations else label.label for label in question.candidate_labels
    ]
    content = _COMPACT.encode([question.multi_label, question.hypothesis_template, labels])
    return hashlib.sha256(content.encode()).hexdigest()


def embedding_text(numbers: bytes) -> str:
    """An embedding's numbers, or a head's file, as base64."""
    return base64.b64encode(numbers).decode()


def embedding_bytes(text: str, name: str) -> bytes:
    """What `embedding_text` has written; `name` is what a sentence calls it. Raises BadRequest."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{name} is not valid base64 ({error}), got {shorten(text)!r}") from None


def max_taught_images(labels: int, numbers: int, max_bytes: int = MAX_INVOCATION_BYTES) -> int:
    """How many images one lesson about so many labels may have, if their embeddings have so many numbers and the model
    can be sent so many bytes.
    """
    sent_bytes = _base64_chars(NUMBER_BYTES * numbers) + len('"", 999, ')
    return min(MAX_TAUGHT_IMAGES, MAX_TAUGHT_SCORES // labels, max_bytes // sent_bytes)


@dataclass(frozen=True)
class TeachRequest:
    """What the API asks of the container: learn from these annotated images. No route asks it.

    Raises BadRequest for more than one lesson may have, and for images and labels that do not belong together.
    """

    operation: ClassVar[str] = "teach"
    listed: ClassVar[bool] = False
    question: Question
    embeddings: Sequence[bytes]
    """Of each image, as `inspect` has answered it."""
    labels: Sequence[int]
    """Of each image: the place of its label in the question."""
    images: list[Any] = field(default_factory=list, init=False)
    """None, as in every request that is not about files."""

    def __post_init__(self) -> None:
        labels = len(self.question.candidate_labels)
        if self.question.multi_label:
            raise BadRequest("a multi_label question can't be taught: its labels are each scored on their own")
        if labels > MAX_TAUGHT_LABELS:
            raise BadRequest(f"{labels} labels, at most {MAX_TAUGHT_LABELS} can be taught in one task: ask for fewer")
        if len(self.embeddings) != len(self.labels) or not self.labels:
            raise BadRequest(
                f"{len(self.embeddings)} embeddings and {len(self.labels)} labels: give a label for each, of one image "
                "at least"
            )
        if not 0 <= min(self.labels) <= max(self.labels) < labels:
            raise BadRequest(f"labels are places in a list of {labels}, got {min(self.labels)} to {max(self.labels)}")
        self._check_embeddings(labels)

    def _check_embeddings(self, labels: int) -> None:
        size = len(self.embeddings[0])
        if other := next((each for each in self.embeddings if len(each) != size), None):
            raise BadRequest(f"one embedding has {size} bytes and another {len(other)}: all are to be of one model")
        if not size or size % NUMBER_BYTES:
            raise BadRequest(f"an embedding of {size} bytes: {NUMBER_BYTES} for each of its numbers are needed")
        if len(self.embeddings) > (most := max_taught_images(labels, size // NUMBER_BYTES)):
            raise BadRequest(
                f"{len(self.embeddings)} images of {labels} labels, at most {most} can teach so many at once: "
                "send a sample of them"
            )

    def fields(self) -> dict[str, Any]:
        """As form fields holding JSON."""
        body = {
            "question": self.question.model_dump(exclude_unset=True, include={*Question.model_fields}),
            "embeddings": [embedding_text(each) for each in self.embeddings],
            "labels": [*self.labels],
        }
        return {self.operation: body}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "TeachRequest":
        """What `fields` has written. Raises BadRequest."""
        body = validate(TeachBody, data)
        names = (f"embeddings.{number}" for number in range(len(body.embeddings)))
        return cls(body.question, [*map(embedding_bytes, body.embeddings, names)], body.labels)


class TeachBody(Strict):
    """`TeachRequest` as JSON."""

    question: Question
    embeddings: Annotated[list[_Embedding], AtMost(MAX_TAUGHT_IMAGES)]
    labels: Annotated[list[Annotated[int, Field(strict=True)]], AtMost(MAX_TAUGHT_IMAGES)]


class Worth(Stored):
    """How well annotated images are answered."""

    accuracy: float = Field(ge=0, le=1, description="The share of them whose label is answered first")
    calibration_error: float = Field(
        ge=0, le=1, description="How far scores are from the share of right answers, in the mean (ECE, 15 bins)"
    )


class Lesson(Stored):
    """The answer to a TeachRequest: a head, and what it is worth. Everything about an image, `after`, `gain`, `doubts`
    and `answers`, is said by the head as it would be without that image.
    """

    head: str = Field(description="Its file as base64")
    sha256: Sha256 = Field(description="Of its file")
    model_version: str = Field(description="The version of the model that it belongs to")
    question: Sha256 = Field(description="`question_digest` of the question that it belongs to")
    images: list[int] = Field(description="By label of the question: how many images have it")
    before: Worth = Field(description="By the words alone")
    after: Worth = Field(description="By the head")
    gain: float | None = Field(
        description="By how much the head's log-likelihood of a label exceeds that of the words at their best, in "
        "nats, every label weighing the same: above 0 the head is expected to help. null where that can't be told: no "
        "label has two images, or only one has any"
    )
    doubts: list[float] = Field(
        description="By image: how likely its label is wrong; 0 where there are too few to tell"
    )
    answers: list[int] = Field(description="By image: the place of the label that it is taken for")


class _Metadata(Strict):
    model_version: str = Field(max_length=256)
    question: Sha256


@dataclass(frozen=True)
class HeadFile:
    """A head as it is kept, and as it travels. Tensors are little-endian fp32, by the names above."""

    model_version: str
    question: str
    labels: int
    numbers: int
    tensors: Mapping[str, bytes]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """What each tensor that it has has."""
        shapes = _shapes(self.labels, self.numbers)
        return {name: shapes[name] for name in shapes if name in self.tensors}

    def write(self) -> bytes:
        """The file: the same head gives the same bytes."""
        tensors = {name: (shape, self.tensors[name]) for name, shape in self.shapes().items()}
        return write_tensors(tensors, {"model_version": self.model_version, "question": self.question})

    @classmethod
    def read(cls, content: bytes) -> "HeadFile":
        """Raises BadRequest for anything that `write` does not write."""
        if len(content) > MAX_HEAD_BYTES:
            raise BadRequest(f"a head of {len(content):,} bytes, at most {MAX_HEAD_BYTES:,} are allowed")
        found, metadata = read_tensors(
            "the head", len(content), lambda name, first, size: content[first : first + size]
        )
        said = validate(_Metadata, metadata)
        if {*found} not in ({*LINEAR}, {*LINEAR, *OF_IMAGES}, {*LINEAR, *OF_IMAGES, FOR_TEXT_ONLY}):
            raise BadRequest(f"the head holds {shorten(', '.join(sorted(found)) or 'nothing')}, which no head does")
        labels, numbers = (*found["weights"].shape, 0, 0)[:2]
        for name, tensor in found.items():
            if tensor.dtype != "F32" or tensor.shape != _shapes(labels, numbers)[name] or not labels * numbers:
                raise BadRequest(
                    f"the head holds {name} as {tensor.dtype} {[*tensor.shape]}, which fits no other of it"
                )
        tensors = {name: content[tensor.first : tensor.end] for name, tensor in found.items()}
        if wrong := [name for name, each in tensors.items() if not are_finite("F32", each)]:
            raise BadRequest(f"the head's {wrong[0]} are no numbers (NaN or infinite): teach the task again")
        return cls(said.model_version, said.question, labels, numbers, tensors)


def _shapes(labels: int, numbers: int) -> dict[str, tuple[int, ...]]:
    linear = {"weights": (labels, numbers), "biases": (labels,)}
    return {**linear, "text_only": (labels,), "centre": (numbers,), "metric": (numbers, numbers), "fit": (2,)}


def head_digest(content: bytes) -> str:
    """What a head's file is named by."""
    return hashlib.sha256(content).hexdigest()


class HeadsBody(Strict):
    """What only the API adds to the parameters of POST /classify on their way to the container."""

    heads: Annotated[dict[str, Sha256], AtMost(MAX_TASKS)] = Field(default={})
    head_bytes: Annotated[dict[Sha256, str], AtMost(MAX_TASKS)] = Field(default={})

    def files(self) -> dict[str, bytes]:
        """The heads that came along. Raises BadRequest if one is not what its name says."""
        files = {name: embedding_bytes(text, f"head_bytes.{shorten(name)}") for name, text in self.head_bytes.items()}
        for name, content in files.items():
            if (digest := head_digest(content)) != name:
                raise BadRequest(f"the head {name} came with the sha256 {digest}: it was changed on its way")
        return files


def heads_fields(heads: Mapping[str, str], files: Mapping[str, bytes]) -> dict[str, Any]:
    """What `HeadsBody` reads, as form fields holding JSON; none where nothing is asked by a head."""
    fields = {"heads": dict(heads), "head_bytes": {name: embedding_text(each) for name, each in files.items()}}
    return {name: value for name, value in fields.items() if value}


def read_heads(fields: Mapping[str, Any]) -> HeadsBody:
    """Of JSON, or of a form, where each field holds JSON. Raises BadRequest."""
    said = {name: json_object_of(each, name) if isinstance(each, str) else each for name, each in fields.items()}
    return validate(HeadsBody, said)
