"""POST /annotations as it comes: JSON of one annotation or many, a form, or one image as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.contract import (
    MAX_IMAGES,
    BadRequest,
    ImageSource,
    ProblemError,
    check_bytes,
    json_object,
    read_fields,
    source_or_problem,
    validate,
)
from model.resources.annotations import DEFAULT_DATASET, Dataset, NewAnnotation, Said


class _Fields(Said):
    dataset: Dataset = DEFAULT_DATASET


@dataclass(frozen=True)
class Entry:
    """One image and what is said of it, or why that can't be read."""

    said: Said | ProblemError
    image: ImageSource
    dataset: str = DEFAULT_DATASET


def parse_annotations(
    content_type: str | None, body: bytes, query: Mapping[str, Sequence[str]]
) -> tuple[list[Entry], bool]:
    """The entries, and whether they are answered by a list. The images of a form all have its fields.

    Raises BadRequest, UnsupportedMediaType or PayloadTooLarge; in a list, a bad item's problem is in its entry.
    """
    if (content_type or "").split(";", 1)[0].strip().lower() == "application/json":
        if query:
            raise BadRequest(f"the fields of a JSON request go in its body, got {', '.join(query)} in the query")
        entries, listed = _from_json(body)
    else:
        images, fields = read_fields(content_type, body, query)
        said = validate(_Fields, {name: _text_or_list(name, values) for name, values in fields.items()})
        entries, listed = [Entry(said, image, said.dataset) for image in images], len(images) > 1
    if not 1 <= len(entries) <= MAX_IMAGES:
        raise BadRequest(f"{len(entries)} annotations, between 1 and {MAX_IMAGES} are allowed in one request")
    check_bytes(entry.image for entry in entries)
    return entries, listed


def _from_json(body: bytes) -> tuple[list[Entry], bool]:
    data = json_object(body)
    if "annotations" not in data:
        return [_entry(data)], False
    if others := sorted(data.keys() - {"annotations"}):
        raise BadRequest(f"{', '.join(others)} beside annotations: say it of each annotation in the list")
    if not isinstance(data["annotations"], list):
        raise BadRequest('annotations is a list of {"image": …, "sentences": […]}')
    return [entry_or_problem(item) for item in data["annotations"]], True


def _entry(data: object) -> Entry:
    annotation = validate(NewAnnotation, data)
    return Entry(annotation, source_or_problem(annotation.image), annotation.dataset)


def entry_or_problem(item: object) -> Entry:
    """An item of a list; one that can't be read has its problem in it."""
    try:
        return _entry(item)
    except BadRequest as problem:
        return Entry(problem, problem)


def _text_or_list(name: str, values: Sequence[str]) -> object:
    return values[0] if len(values) == 1 and name != "sentences" else list(values)
