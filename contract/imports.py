"""Imports: many annotations at once, from files that were uploaded before."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from contract.annotations import DEFAULT_DATASET, Dataset, Split
from contract.deferred import Deferred
from contract.idempotency import ID
from contract.layouts.found import Cursor, Findings, Layout
from contract.limits import UPLOADS_PREFIX
from contract.problems import BadRequest, Problem, shorten
from contract.questions import TaskName
from contract.validation import S3Key, Stored, Strict

IMPORTS_PREFIX = "imports/"
"""Where in the data bucket they are: `<id>.json` tells how far each is, `<id>/` has all of its problems."""
SHOWN_PROBLEMS = 100

ImportState = Literal["running", "done", "failed"]


class AnnotationImportBody(Strict):
    """The JSON body of POST /annotations/imports: what to read, and what holds where a line says nothing."""

    s3_key: S3Key | None = Field(
        default=None, description='JSON lines such as {"s3_key": …, "sentences": […]}, or a CSV or TSV with a header'
    )
    s3_prefix: S3Key | None = Field(
        default=None,
        description="A folder with images and a manifest (Hugging Face's ImageFolder), or with one folder per label",
    )
    dataset: Dataset = DEFAULT_DATASET
    task: TaskName | None = Field(default=None, description="What the labels answer")
    split: Split | None = None

    EXAMPLES: ClassVar = {
        "folder: metadata.jsonl or metadata.csv beside images, or a folder per label": {
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
    findings: Findings = Field(default_factory=Findings)
    cursor: Cursor = Field(default_factory=Cursor)


class ImportView(Deferred):
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
    layout: str | None = Field(default=None, description="How the files were read, and what told so")
    left_out: dict[str, int] = Field(default={}, description="Files that were not read: why, and how many")
    notes: dict[str, int] = Field(default={}, description="What was taken otherwise than it is written, and how often")
    ignored_fields: dict[str, int] = Field(
        default={}, description="Fields that mean nothing here, and of how many rows"
    )


def view_of(found: AnnotationImport) -> ImportView:
    """An import as callers see it."""
    seen = found.model_dump(include={"id", "created", "updated", "state", "reason", "records", "stored"})
    return ImportView(
        **seen,
        dataset=found.asked.dataset,
        problem_records=found.problems,
        problems=found.first_problems,
        problems_s3_prefix=problems_prefix(found.id),
        layout=f"{found.layout.kind}: {found.layout.why}" if found.layout and found.layout.kind else None,
        **found.findings.model_dump(include={"left_out", "notes", "ignored_fields"}),
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
