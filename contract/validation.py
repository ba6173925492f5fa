"""From JSON to the models of this contract, with a sentence for each fault."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.limits import MAX_S3_KEY_BYTES
from contract.problems import BadRequest, UnsupportedMediaType, shorten

Model = TypeVar("Model", bound=BaseModel)
S3Key = Annotated[str, Field(max_length=MAX_S3_KEY_BYTES)]
"""A key, or what keys begin with."""
_IN_OUR_WORDS = {"missing": "is missing", "extra_forbidden": "is not a known field"}


class Strict(BaseModel):
    """What callers send: a field that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    EXAMPLES: ClassVar[dict[str, Any]] = {}
    """For the OpenAPI document, by a name that may have a summary behind it: `tasks: Several questions`."""


class Stored(BaseModel):
    """What is kept in a bucket: a field of a later version is passed over."""

    model_config = ConfigDict(frozen=True)


def media_type_of(content_type: str | None) -> str:
    """`image/jpeg` of `Image/JPEG; q=1`."""
    return (content_type or "").split(";", 1)[0].strip().lower()


def json_object(body: bytes) -> dict[str, Any]:
    """A body as the JSON object it must be. Raises BadRequest."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not valid JSON: {shorten(str(error), 120)}") from None
    if not isinstance(data, dict):
        raise BadRequest(f"the body must be a JSON object, got {shorten(json.dumps(data))}")
    return data


def parse_json(model: type[Model], content_type: str | None, body: bytes) -> Model:
    """The body of a request that is JSON only. Raises BadRequest or UnsupportedMediaType."""
    media_type = media_type_of(content_type)
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
        what = _IN_OUR_WORDS.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        if fault["type"] not in (*_IN_OUR_WORDS, "value_error"):
            what = f"{what[0].lower()}{what[1:]}, got {shorten(json.dumps(fault['input'], default=str))}"
        yield f"{where}: {what}" if where else what
    if len(faults) > 3:
        yield f"and {len(faults) - 3} more"
