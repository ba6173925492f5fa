"""Annotations: what people say of images, kept record by record, for a training to learn from."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self, TypedDict

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from contract.deferred import Deferred
from contract.forms import one_or_list, read_fields
from contract.limits import MAX_IMAGES, UPLOADS_PREFIX
from contract.perceptual_hash import PATTERN as PERCEPTUAL_HASH
from contract.problems import BadRequest, Problem, ProblemError, names_in_words, shorten
from contract.questions import ONE_OR_MANY, TaskName, Text
from contract.requests import EXAMPLE_IMAGE_BASE64, ImageField, ImageSource, check_bytes, source_or_problem
from contract.texts import distinct, same_to_the_model
from contract.validation import JSON, AtMost, Strict, json_object, media_type_of, validate

ANNOTATIONS_PREFIX = "annotations/"
"""Where in the data bucket they are: `<dataset>/<id>.json`."""
IMAGES_PREFIX = "images/"
"""Where the images are that they are about, each under the sha256 of its file."""

DEFAULT_DATASET = "default"
MAX_DATASET_CHARS = 63
MAX_SENTENCES = 64
COUNTED_ANNOTATIONS = 2_000
"""Records that are looked at for the balance of a dataset."""
LISTED_KEYS = 100_000
"""Records of which it is known that they are there. S3 lists about so many in the time a caller waits."""

Split = Literal["train", "validation", "test"]
SPLIT_NAMES: dict[str, Split] = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
"""What datasets call the splits, in their files and folders."""
STRICTEST: tuple[Split, ...] = ("test", "validation", "train")
"""Of several splits that are given to one image, the first of these: what is to be kept back is never trained on."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DATASET = re.compile(f"[a-z0-9][a-z0-9_-]{{0,{MAX_DATASET_CHARS - 1}}}")
_ID = re.compile(r"[0-9a-f]{36}")
IMAGE_DIGITS, _BODY_DIGITS = 24, 12
"""Of an annotation's id: those of its image first, so that an image's records are found by their keys."""


def check_dataset(name: str) -> str:
    """The name itself. Raises ValueError for one that no dataset may have."""
    if not _DATASET.fullmatch(name):
        raise ValueError(
            f"a dataset's name has 1 to {MAX_DATASET_CHARS} lower-case letters, digits, _ and -, a letter or digit "
            f"first, got {shorten(name)!r}"
        )
    return name


Dataset = Annotated[str, AfterValidator(check_dataset)]
Sentences = Annotated[list[Text], AtMost(MAX_SENTENCES), AfterValidator(distinct), ONE_OR_MANY]
"""What is the same to the model as one before counts once."""


class AnnotationBody(Strict):
    """What is said of an image: sentences, its label in a task, or both. The body of PUT /annotations/{id}."""

    sentences: Sentences = Field(default=[], description="True of the image, each on its own")
    label: Text | None = Field(default=None, description="Its class")
    task: TaskName | None = Field(default=None, description="What the label answers, such as a saved task's name")
    split: Split | None = Field(default=None, description="If absent, each training draws one that stays the same")

    EXAMPLES: ClassVar = {"label": {"label": "blue", "task": "colour"}}

    @model_validator(mode="after")
    def _has_sentences_or_label(self) -> Self:
        if not self.sentences and self.label is None:
            raise ValueError("nothing is said of the image: give sentences, a label, or both")
        if self.task is not None and self.label is None:
            raise ValueError(f"the task {self.task!r} is given without a label: say what the answer to it is")
        return self


class NewAnnotation(AnnotationBody):
    """One image and what is said of it. The body of POST /annotations, alone or in a list of `annotations`."""

    image: ImageField = Field(description='Base64, or {"s3_key": …} of an image that was uploaded before')
    dataset: Dataset = DEFAULT_DATASET

    EXAMPLES: ClassVar = {
        "sentences": {
            "image": EXAMPLE_IMAGE_BASE64,
            "sentences": ["a red square", "something painted red"],
            "dataset": "shapes",
        }
    }


class AnnotationsBody(Strict):
    """Many images at once. A bad one becomes a problem in its place."""

    annotations: list[NewAnnotation] = Field(min_length=1, max_length=MAX_IMAGES)

    EXAMPLES: ClassVar = {
        "labels: Many at once": {
            "annotations": [
                {"image": EXAMPLE_IMAGE_BASE64, "label": "red", "task": "colour", "split": "train"},
                {"image": {"s3_key": f"{UPLOADS_PREFIX}1"}, "label": "blue", "task": "colour"},
            ]
        }
    }


AnnotationsRequest = Annotated[
    NewAnnotation | AnnotationsBody,
    Field(title="AnnotationsRequest", description="One image and what is said of it, or a list of them"),
]
"""The JSON body of POST /annotations."""


class Annotation(AnnotationBody):
    """A stored record."""

    id: str
    dataset: Dataset
    image: Annotated[str, StringConstraints(pattern=f"^{_SHA256.pattern}$")] = Field(description="sha256 of its file")
    perceptual_hash: Annotated[str, StringConstraints(pattern=f"^{PERCEPTUAL_HASH}$")]
    created: str
    source: str = Field(description="`api`, or the import that brought it")


class StoredAnnotation(TypedDict):
    """What POST /annotations answers of one image. `new` is false where the same annotation was there already."""

    id: str
    dataset: str
    image: str
    new: bool


AnnotationsAnswer = Annotated[
    StoredAnnotation | list[StoredAnnotation | Problem],
    Field(
        title="AnnotationsAnswer",
        description="What was stored; for a list of annotations a list, with problems in their places",
    ),
]


class Counts(Deferred):
    """How much a dataset has, and its balance."""

    records: int = Field(description=f"So many there are; {LISTED_KEYS:,} stand for more")
    counted: int = Field(description="The balance is of so many: a fair sample, for ids begin with a hash of the image")
    splits: dict[str, int] = Field(description='"" stands for no split')
    labels: dict[str, dict[str, int]] = Field(description='By task; "" stands for no task')


class AnnotationList(Deferred):
    """The answer of GET /annotations, in the order of ids."""

    annotations: list[Annotation]
    next: str | None = Field(description="What to send as `after`; null at the end")
    counts: Counts | None = Field(description="Of the dataset, on its first page")


class Erased(TypedDict):
    """The answer of DELETE /annotations: how many records of the image there were."""

    image: str
    annotations: int


def annotation_id(image: str, body: AnnotationBody) -> str:
    """The id of what is said of an image, given by its sha256: posted twice, it is the same record, also where the
    model can't tell it from what was said before.
    """
    label = None if body.label is None else same_to_the_model(body.label)
    words = json.dumps([body.task, label, [*map(same_to_the_model, body.sentences)], body.split], ensure_ascii=False)
    return image[:IMAGE_DIGITS] + hashlib.sha256(words.encode()).hexdigest()[:_BODY_DIGITS]


def annotation_key(dataset: str, id: str) -> str:
    """Where in the data bucket a record is. Raises BadRequest for names that none may have."""
    if not _ID.fullmatch(id):
        raise BadRequest(f"the annotation's id is {shorten(id)!r}, allowed: one that POST /annotations has answered")
    return f"{dataset_prefix(dataset)}{id}.json"


def annotation_of_key(key: str) -> str:
    """The id of the record at a key."""
    return key.rpartition("/")[2].removesuffix(".json")


def dataset_prefix(dataset: str) -> str:
    """What the keys of a dataset's records begin with. Raises BadRequest for a name that no dataset may have."""
    try:
        return f"{ANNOTATIONS_PREFIX}{check_dataset(dataset)}/"
    except ValueError as error:
        raise BadRequest(f"dataset: {error}") from None


def keys_of_image(dataset: str, image: str) -> str:
    """What the keys of an image's records in a dataset begin with, and hardly any other's."""
    return dataset_prefix(dataset) + image[:IMAGE_DIGITS]


def image_key(image: str) -> str:
    """Where in the data bucket the image with this sha256 is. Raises BadRequest for what is no sha256."""
    if not _SHA256.fullmatch(image):
        raise BadRequest(f"image is {shorten(image)!r}, allowed: a sha256 in 64 lower-case hexadecimal digits")
    return IMAGES_PREFIX + image


class _Fields(AnnotationBody):
    dataset: Dataset = DEFAULT_DATASET


@dataclass(frozen=True)
class Entry:
    """One image and what is said of it, or why that can't be read."""

    body: AnnotationBody | ProblemError
    image: ImageSource
    dataset: str = DEFAULT_DATASET


def parse_annotations(
    content_type: str | None, body: bytes, query: Mapping[str, Sequence[str]]
) -> tuple[list[Entry], bool]:
    """The entries, and whether they are answered by a list. The images of a form all have its fields.

    Raises BadRequest, UnsupportedMediaType or PayloadTooLarge; in a list, a bad item's problem is in its entry.
    """
    if media_type_of(content_type) == JSON:
        if query:
            raise BadRequest(f"the fields of a JSON request go in its body, got {names_in_words(query)} in the query")
        entries, listed = _from_json(body)
    else:
        images, fields = read_fields(content_type, body, query)
        shared = validate(_Fields, {name: one_or_list(values) for name, values in fields.items()})
        entries, listed = [Entry(shared, image, shared.dataset) for image in images], len(images) > 1
    _check_count(entries)
    check_bytes(entry.image for entry in entries)
    return entries, listed


def _from_json(body: bytes) -> tuple[list[Entry], bool]:
    data = json_object(body)
    if "annotations" not in data:
        return [_entry(data)], False
    if others := sorted(data.keys() - {"annotations"}):
        raise BadRequest(f"{names_in_words(others)} beside annotations: say it of each annotation in the list")
    if not isinstance(data["annotations"], list):
        raise BadRequest('annotations is a list of {"image": …, "sentences": […]}')
    _check_count(data["annotations"])
    return [entry_or_problem(item) for item in data["annotations"]], True


def _check_count(annotations: Sequence[object]) -> None:
    if not 1 <= len(annotations) <= MAX_IMAGES:
        raise BadRequest(f"{len(annotations)} annotations, between 1 and {MAX_IMAGES} are allowed in one request")


def _entry(data: object) -> Entry:
    annotation = validate(NewAnnotation, data)
    return Entry(annotation, source_or_problem(annotation.image), annotation.dataset)


def entry_or_problem(item: object) -> Entry:
    """An item of a list; one that can't be read has its problem in it."""
    try:
        return _entry(item)
    except BadRequest as problem:
        return Entry(problem, problem)
