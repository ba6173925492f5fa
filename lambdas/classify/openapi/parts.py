"""What descriptions of routes are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_type_hints

from pydantic import BaseModel, TypeAdapter

from contract.idempotency import IDEMPOTENCY_HEADER, MAX_IDEMPOTENCY_KEY_CHARS
from contract.limits import PROBLEM_MEDIA_TYPE
from contract.routes import Route

Schema = dict[str, Any]

SCHEMAS = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Resource:
    """The routes of one kind of things: what each one's operation says beside its summary, and the schemas they name.

    `models` describe requests and `typed_dicts` answers; `schemas` are the others, by name.
    """

    operations: dict[Route, Schema]
    models: tuple[type[BaseModel], ...] = ()
    typed_dicts: tuple[type, ...] = ()
    schemas: dict[str, Schema] = field(default_factory=dict)


def reference(model: type | str) -> Schema:
    """One of the document's schemas, by its name or its class."""
    return {"$ref": SCHEMAS.format(model=model if isinstance(model, str) else model.__name__)}


def answers(schema: Schema, media_type: str = "application/json", headers: dict[str, str] | None = None) -> Schema:
    """The answer of a route that has one kind: 200."""
    return {"200": answer("The answer", schema, media_type, headers)}


def answer(
    description: str,
    schema: Schema | None = None,
    media_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Schema:
    """One response; without a schema it has no body."""
    described = {name: {"description": text, "schema": {"type": "string"}} for name, text in (headers or {}).items()}
    content = {} if schema is None else {"content": {media_type: {"schema": schema}}}
    return {"description": description, "headers": described, **content}


def problem(description: str) -> Schema:
    """A response with problem details."""
    return {"description": description, "content": {PROBLEM_MEDIA_TYPE: {"schema": reference("Problem")}}}


def json_body(model: type[BaseModel], examples: Schema, *, required: bool = True) -> Schema:
    """A request body that is JSON only."""
    return {
        "required": required,
        "content": {"application/json": {"schema": reference(model), "examples": examples}},
    }


def parameter(place: str, name: str, description: str, schema: Schema) -> Schema:
    """A parameter in the "path", the "query" or a "header"."""
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": schema,
    }


def page(most: int) -> list[Schema]:
    """The query of a route that lists at most `most`."""
    limit = {"type": "integer", "minimum": 1, "maximum": most, "default": most}
    return [
        parameter("query", "limit", "How many", limit),
        parameter("query", "after", "The `next` of the page before", {"type": "string"}),
    ]


IDEMPOTENCY_KEY = parameter(
    "header",
    IDEMPOTENCY_HEADER,
    "Sent again with the same key and body, the request gets its first answer and creates nothing twice",
    {"type": "string", "pattern": f"^[!-~]{{1,{MAX_IDEMPOTENCY_KEY_CHARS}}}$"},
)


def typed_dict_schema(typed_dict: type) -> Schema:
    """An answer's schema; a member that is another answer, or a list of them, refers to it."""
    members = {name: _member(hint) for name, hint in get_type_hints(typed_dict).items()}
    return {
        "type": "object",
        "description": typed_dict.__doc__,
        "properties": members,
        "required": list(members),
    }


def _member(hint: Any) -> Schema:
    # pydantic refuses typing.TypedDict itself before Python 3.12, but not the types of its members
    if hasattr(hint, "__total__"):
        return reference(hint)
    if getattr(hint, "__origin__", None) is list and hasattr(hint.__args__[0], "__total__"):
        return {"type": "array", "items": reference(hint.__args__[0])}
    schema: Schema = TypeAdapter(hint).json_schema()
    return schema
