"""Imports: many annotations at once, from files that were uploaded before."""

from typing import ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from contract.annotations import DEFAULT_DATASET, Dataset, Split
from contract.idempotency import ID
from contract.limits import UPLOADS_PREFIX
from contract.problems import BadRequest, Problem, shorten
from contract.questions import TaskName
from contract.validation import S3Key, Stored, Strict

IMPORTS_PREFIX = "imports/"
"""Where in the data bucket they are: `<id>.json` tells how far each is, `<id>/` has all of its problems."""
SHOWN_PROBLEMS = 100

ImportState = Literal["running", "done", "failed"]

IMAGE_FIELDS = ("s3_key", "image", "file_name", "filepath", "source-ref")
SENTENCE_FIELDS = ("sentences", "captions", "text", "caption", "title")
"""How lines name the image and what is said of it, the preferred name first."""
IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif",
)  # fmt: skip
"""Of the files in a label's folder that are images; others are passed over."""


class AnnotationImportBody(Strict):
    """The JSON body of POST /annotations/imports: what to read, and what holds where a line says nothing."""

    s3_key: S3Key | None = Field(default=None, description='JSON lines such as {"s3_key": …, "sentences": […]}')
    s3_prefix: S3Key | None = Field(
        default=None,
        description="A folder with metadata.jsonl (Hugging Face's ImageFolder), or with one folder per label",
    )
    dataset: Dataset = DEFAULT_DATASET
    task: TaskName | None = Field(default=None, description="What the labels answer")
    split: Split | None = None

    EXAMPLES: ClassVar = {
        "folder: metadata.jsonl beside images, or a folder per label": {
            "s3_prefix": f"{UPLOADS_PREFIX}pets/",
            "dataset": "pets",
            "task": "pet",
        },
        "lines": {"s3_key": f"{UPLOADS_PREFIX}pets.jsonl", "dataset": "pets"},
    }

    @model_validator(mode="after")
    def _one_source_among_the_uploads(self) -> Self:
        given = [each for each in (self.s3_key, self.s3_prefix) if each is not None]
        if len(given) != 1:
            raise ValueError(f"{len(given)} of s3_key and s3_prefix are given: give one of them")
        if not given[0].startswith(UPLOADS_PREFIX):
            raise ValueError(f"what is imported lies under {UPLOADS_PREFIX!r}, got {shorten(given[0])!r}")
        return self


class Cursor(Stored):
    """Where an import goes on: behind a line of a manifest, or behind a key."""

    manifest: int = 0
    line: int = 0
    offset_bytes: int = 0
    key: str = ""


class Layout(Stored):
    """What an import found to read: manifests, or folders per label, which may lie in folders per split."""

    manifests: list[str] = Field(default=[])
    split_folders: bool = False


class ImportProblem(Stored):
    """One record that was left out, and why."""

    place: str = Field(description="The line or file that says it")
    problem: Problem


class AnnotationImport(Stored):
    """An import as it is stored. `stored` and `problems` count records, and are `records` together."""

    id: str
    created: str
    updated: str
    state: ImportState = "running"
    reason: str | None = None
    asked: AnnotationImportBody
    records: int = 0
    stored: int = 0
    problems: int = 0
    first_problems: list[ImportProblem] = Field(default=[])
    layout: Layout | None = None
    cursor: Cursor = Cursor()


class ImportView(BaseModel):
    """How far an import is."""

    id: str
    created: str
    updated: str
    state: ImportState
    reason: str | None = Field(description="Why it failed")
    dataset: str
    records: int = Field(description="So many were read")
    stored: int = Field(description="So many of them are in the dataset")
    problem_records: int = Field(description="So many are not")
    problems: list[ImportProblem] = Field(description="The first of these")
    problems_s3_prefix: str = Field(description="Where in the data bucket all are, as JSON lines")


def view_of(found: AnnotationImport) -> ImportView:
    """An import as callers see it."""
    seen = found.model_dump(include={"id", "created", "updated", "state", "reason", "records", "stored"})
    return ImportView(
        **seen,
        dataset=found.asked.dataset,
        problem_records=found.problems,
        problems=found.first_problems,
        problems_s3_prefix=problems_prefix(found.id),
    )


def import_key(id: str) -> str:
    """Where in the data bucket an import is. Raises BadRequest for what is no import's id."""
    if not ID.fullmatch(id):
        raise BadRequest(
            f"the import's id is {shorten(id)!r}, allowed: one that POST /annotations/imports has answered"
        )
    return f"{IMPORTS_PREFIX}{id}.json"


def problems_prefix(id: str) -> str:
    """Where in the data bucket all problems of an import are, as JSON lines."""
    return f"{IMPORTS_PREFIX}{id}/"
