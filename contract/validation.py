"""From JSON to the models of this contract, with a sentence for each fault."""

import codecs
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)

from contract.deferred import Deferred
from contract.documents import LOST, NOT_TEXT, json_of, texts_in
from contract.limits import MAX_FIELDS, MAX_JSON_ITEMS, MAX_S3_KEY_BYTES
from contract.problems import BadRequest, UnsupportedMediaType, shorten, shown

JSON = "application/json"
Model = TypeVar("Model", bound=BaseModel)
S3Key = Annotated[str, Field(max_length=MAX_S3_KEY_BYTES)]
"""A key, or what keys begin with."""
NOT_BLANK = r"\S"
"""The pattern of a text that says something."""
_IN_OUR_WORDS = {"missing": "is missing", "extra_forbidden": "is not a known field"}


class Written(Deferred):
    """What callers write: its schema has null wherever a field may be left out."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema)["properties"]
        for name in properties.keys() - {each for each, field in cls.model_fields.items() if field.is_required()}:
            properties[name] = _or_null(properties[name])
        return schema


class Strict(Written):
    """What callers send: a field that is not known is an error, and an optional one that is null is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    EXAMPLES: ClassVar[dict[str, Any]] = {}
    """For the OpenAPI document, by a name that may have a summary behind it: `tasks: Several questions`."""

    @model_validator(mode="before")
    @classmethod
    def _has_few_fields(cls, data: Any) -> Any:
        if isinstance(data, dict) and len(data) > MAX_FIELDS:
            raise ValueError(f"{len(data)} fields, allowed are {', '.join(cls.model_fields)}")
        return without_nulls(cls, data)


def without_nulls(model: type[BaseModel], data: Any) -> Any:
    """The members of a model without those that are null and might be left out as well: many clients write all."""
    if not isinstance(data, dict) or None not in data.values():
        return data
    optional = {name for name, field in model.model_fields.items() if not field.is_required()}
    return {name: value for name, value in data.items() if value is not None or name not in optional}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {name: schema[name] for name in ("title", "description", "default") if name in schema}
    kind = {name: value for name, value in schema.items() if name not in about}
    kinds = kind["anyOf"] if kind.keys() == {"anyOf"} else [kind]
    null = {"type": "null"}
    return {"anyOf": [*kinds, *([] if null in kinds else [null])], **about}


class Stored(Deferred):
    """What is kept in a bucket: a field of a later version is passed over."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True)
class AtMost:
    """In the type of a list or a dict: how many items it may have. They are counted before any is looked at, and the
    first fault among them is the only one that is told.
    """

    items: int

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        def bounded(source: Any) -> Any:
            # pydantic's FailFast knows lists alone; its core stops in a dict as well
            return {**handler(source), "max_length": self.items, "fail_fast": True}

        return BeforeValidator(self._count).__get_pydantic_core_schema__(source, bounded)  # type: ignore[arg-type]

    def _count(self, value: Any) -> Any:
        if isinstance(value, list | dict) and len(value) > self.items:
            raise ValueError(f"{len(value)} are given, at most {self.items} are allowed")
        return value


def written_as_json(opening: str) -> Callable[[object], object]:
    """A validator of what is a list or an object, by its `opening` bracket: it may come as a text that is its JSON, as
    forms and queries have it.
    """

    def read(value: object) -> object:
        return _loads(value) if isinstance(value, str) and value.lstrip()[:1] == opening else value

    return read


def media_type_of(content_type: str | None) -> str:
    """`image/jpeg` of `Image/JPEG; q=1`."""
    return (content_type or "").split(";", 1)[0].strip().lower()


def json_object(body: bytes) -> dict[str, Any]:
    """A body as the JSON object it must be, in UTF-8. Raises BadRequest."""
    try:
        text = body.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8 text: JSON is sent in UTF-8, whatever its charset says") from None
    return json_object_of(text, "the body")


def json_object_of(text: str, name: str) -> dict[str, Any]:
    """A text as the JSON object it must be; `name` is what it is called in the sentence. Raises BadRequest."""
    try:
        data = _loads(text)
    except ValueError as error:
        raise BadRequest(f"{name} {error}") from None
    if not isinstance(data, dict):
        raise BadRequest(f"{name} must be a JSON object, got {shown(data)}")
    return data


def check_readable(fields: Mapping[str, Sequence[str]]) -> None:
    """Raises BadRequest for a name or a value in which a character was lost on its way."""
    for name, values in fields.items():
        if any(map(_is_lost, (name, *values))):
            raise BadRequest(f"{shorten(name)} {NOT_TEXT}")


def _loads(text: str) -> Any:
    """JSON, strictly as RFC 8259 has it. Raises ValueError with what a sentence says behind the name of the text."""
    if len(text) > MAX_JSON_ITEMS and _values_at_most(text) > MAX_JSON_ITEMS:
        raise ValueError(f"has more than {MAX_JSON_ITEMS:,} values: send less at once")
    try:
        value = json_of(text)
    except ValueError as error:
        raise ValueError(f"is not valid JSON ({error}), got {shown(text)}") from None
    if ("\\" in text or "\ufffd" in text) and any(map(_is_lost, texts_in(value))):
        raise ValueError(NOT_TEXT)
    return value


def _values_at_most(text: str) -> int:
    """How many values a JSON text can have: each is behind a comma, or the first in its brackets."""
    written = text.encode(errors="replace")  # bytes are counted at twice the speed
    return 1 + sum(map(written.count, (b",", b"[", b"{")))


def _is_lost(text: str) -> bool:
    return "\0" in text or (not text.isascii() and LOST.search(text) is not None)


def parse_json(model: type[Model], content_type: str | None, body: bytes) -> Model:
    """The body of a request that is JSON only. Raises BadRequest or UnsupportedMediaType."""
    media_type = media_type_of(content_type)
    if media_type != JSON:
        got = f"content-type {shorten(media_type)!r}" if media_type else "no content-type"
        raise UnsupportedMediaType(f"{got}, allowed is application/json: add -H 'content-type: application/json'")
    return validate(model, json_object(body))


def validate(model: type[Model], data: object) -> Model:
    """`data` as a model of this contract. Raises BadRequest with a sentence for each of the first faults."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise BadRequest("; ".join(_sentences(error))) from None


def _sentences(error: ValidationError) -> Iterator[str]:
    faults = error.errors(include_url=False)
    for fault in faults[:3]:
        parts = (part for part in map(str, fault["loc"]) if not part.startswith(("function-", "list[")))
        where = ".".join(map(shorten, parts))
        what = _IN_OUR_WORDS.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        if fault["type"] == "string_pattern_mismatch" and fault["ctx"]["pattern"] == NOT_BLANK:
            what = "must not be blank"
        if fault["type"] not in (*_IN_OUR_WORDS, "value_error"):
            what = f"{what[0].lower()}{what[1:]}, got {shown(fault['input'])}"
        yield f"{where}: {what}" if where else what
    if len(faults) > 3:
        yield f"and {len(faults) - 3} more"
