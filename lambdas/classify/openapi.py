"""The OpenAPI 3.1 description of the API: a pure function of the contract and its route table."""

import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from contract import limits
from contract.annotations import DEFAULT_DATASET, MAX_DATASET_CHARS, AnnotationBody
from contract.batches import BatchProblem, BatchResult
from contract.idempotency import ID, IDEMPOTENCY_HEADER, MAX_IDEMPOTENCY_KEY_CHARS
from contract.problems import Problem
from contract.questions import Parameters
from contract.requests import EmbedInputs
from contract.routes import API_KEY_HEADER, CLASSIFY, EMBED, POST_ANNOTATIONS, ROUTES, STAGE_NAME, Route
from contract.validation import Strict

Schema = dict[str, Any]

_SCHEMAS = "#/components/schemas/{model}"
_TEXT = {"type": "string"}
_ID = {**_TEXT, "pattern": f"^{ID.pattern}$"}
_REPEATED_TEXT = {"type": "array", "items": _TEXT, "description": "Repeat it"}
_DATASET = {**_TEXT, "default": DEFAULT_DATASET, "maxLength": MAX_DATASET_CHARS}

_IN_PATH: dict[str, tuple[str, Schema]] = {
    "/tasks/{task}": ("The task's name", {**_TEXT, "minLength": 1, "maxLength": limits.MAX_TASK_NAME_CHARS}),
    "/annotations/{id}": ("The annotation's id", _TEXT),
    "/annotations/imports/{id}": ("The import's id", _ID),
    "/trainings/{training}": ("The training's id", _ID),
    "/models/{version}": ("The model's version", _TEXT),
    "/batches/{batch}": ("The batch's id", _ID),
}
"""What the end of a path names. What comes behind it, as in `/models/{version}/promote`, is an action."""
_IN_QUERY: dict[str, tuple[str, Schema]] = {
    "dataset": ("Of the annotations", _DATASET),
    "dry_run": ("Only check, and tell what it would find and cost", {"type": "boolean", "default": False}),
    "image": ("sha256 of the image's file", {**_TEXT, "pattern": "^[0-9a-f]{64}$"}),
}
_IF_MATCH = {"task": "The etag that was seen, or * if there must be one", "annotation": "The etag that was seen"}
_HEADERS_OF_THE_MODEL = {
    limits.MODEL_VERSION_HEADER: "The version of the model that answered",
    limits.REQUEST_ID_HEADER: "Quote it when asking for help",
    limits.SERVER_TIMING_HEADER: "Milliseconds by stage",
    limits.WARNING_HEADER: "Says so if a text was longer than the model reads",
}


def document() -> Schema:
    """The whole description, JSON-ready. Its one server is relative, so it is true wherever it is served."""
    paths: dict[str, Schema] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wordsight",
            "version": STAGE_NAME,
            "description": "Zero-shot image classification: post an image and words, get the words that fit. "
            f"Images of one request may be {limits.MAX_INLINE_IMAGE_BYTES:,} bytes together.",
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "schemas": _components(),
            "securitySchemes": {"api_key": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER}},
        },
    }


def _operation(route: Route) -> Schema:
    parameters = list(_parameters(route))
    path = "/page" if route.path == "/" else route.path.split(".")[0]
    return {
        # what generated clients call it: `post_classify`, `get_tasks_task`
        "operationId": route.method.lower() + re.sub("[{}]", "", path).replace("/", "_"),
        "summary": route.summary,
        "security": [] if route.open else [{"api_key": []}],
        **({"parameters": parameters} if parameters else {}),
        **({} if route.body is None else {"requestBody": _body(route)}),
        "responses": {
            **{str(status): _success(route, status, meaning) for status, meaning in route.answers.items()},
            "4XX": _problem("The request can't be answered; the sentence says what to do"),
            "5XX": _problem("Wordsight can't answer now; with a retry-after header, later"),
        },
    }


def _parameters(route: Route) -> Iterator[Schema]:
    resource, bracket, _ = route.path.partition("}")
    if bracket:
        yield _parameter("path", resource.rpartition("{")[2], *_IN_PATH[resource + bracket], required=True)
    if route.page:
        limit = {"type": "integer", "minimum": 1, "maximum": route.page, "default": route.page}
        yield _parameter("query", "limit", "How many", limit)
        yield _parameter("query", "after", "The `next` of the page before", _TEXT)
    for name in route.query:
        description, schema = _IN_QUERY[name]
        yield _parameter("query", name, description, schema, required="default" not in schema)
    if route.creates:
        again = "Sent again with the same key and body, the request gets its first answer and creates nothing twice"
        yield _parameter(
            *("header", IDEMPOTENCY_HEADER, again), {**_TEXT, "pattern": f"^[!-~]{{1,{MAX_IDEMPOTENCY_KEY_CHARS}}}$"}
        )
    if route.etag and route.method != "GET":
        yield _parameter("header", "if-match", _IF_MATCH[route.etag], _TEXT)
    if route.etag and 201 in route.answers:
        yield _parameter("header", "if-none-match", "* if there must be none yet", {**_TEXT, "enum": ["*"]})
    if route is not EMBED:
        yield from (_beside_an_image(route, *field) for field in _form_fields(route).items())


def _parameter(place: str, name: str, description: str, schema: Schema, required: bool = False) -> Schema:
    return {"name": name, "in": place, "required": required, "description": description, "schema": schema}


def _form_fields(route: Route) -> dict[str, Schema]:
    """What stands beside the images of a form, by name; empty for a route that takes JSON only."""
    if route is CLASSIFY:
        return {**_as_fields(Parameters), "parameters": _schema(Parameters)}
    if route is EMBED:
        return {"texts": _as_fields(EmbedInputs)["texts"]}
    if route is POST_ANNOTATIONS:
        return {**_as_fields(AnnotationBody), "sentences": _REPEATED_TEXT, "dataset": _DATASET}
    return {}


def _as_fields(model: type[BaseModel]) -> dict[str, Schema]:
    """A model's members as a form has them: what may be a list is a text that is repeated."""
    fields: dict[str, Schema] = {}
    for name, schema in model.model_json_schema(ref_template=_SCHEMAS)["properties"].items():
        repeated = any(kind.get("type") == "array" for kind in schema.get("anyOf", ()))
        description = {"description": schema["description"]} if "description" in schema else {}
        fields[name] = {**_REPEATED_TEXT, **description} if repeated else schema
    return fields


def _beside_an_image(route: Route, name: str, schema: Schema) -> Schema:
    """A field of the form, which may stand in the query as well: it has to if the body is the image as it is."""
    described = {"name": name, "in": "query", "description": "With an image as the body, or a form"}
    if schema.get("type") == "object" or "$ref" in schema:
        return {**described, "content": {"application/json": {"schema": schema}}}
    return {**described, **({} if route is CLASSIFY else {"required": False}), "schema": schema}


def _body(route: Route) -> Schema:
    """JSON; where images can be sent, also a form with the same names, or one image as it is."""
    optional = type(None) in get_args(route.body)
    body = get_args(route.body)[0] if optional else route.body
    examples: Schema = {}
    for model in (each for each in _named(body) if isinstance(each, type) and issubclass(each, Strict)):
        for title, value in model.EXAMPLES.items():
            name, _, summary = title.partition(": ")
            examples[name] = {**({"summary": summary} if summary else {}), "value": value}
    content: Schema = {"application/json": {"schema": _schema(body), "examples": examples}}
    if fields := _form_fields(route):
        image = {"contentMediaType": "application/octet-stream"}
        images = {"type": "array", "maxItems": limits.MAX_IMAGES, "items": image}
        form = {"type": "object", "properties": {"image": images, **fields}, "additionalProperties": False}
        raw = {"schema": {"description": "The image's bytes"}}
        content |= {"multipart/form-data": {"schema": form}, "image/*": raw, "application/octet-stream": raw}
    return {"required": not optional, "content": content}


def _success(route: Route, status: int, meaning: str) -> Schema:
    headers = _HEADERS_OF_THE_MODEL if route in (CLASSIFY, EMBED) else {}
    if route.etag and route.answer:
        headers = {"etag": f"Names this state of the {route.etag}"}
    described = {name: {"description": text, "schema": _TEXT} for name, text in headers.items()}
    answer = route.other_answers.get(status, route.answer)
    media_type = "text/html" if answer is str else "application/json"
    content = {"content": {media_type: {"schema": _schema(answer)}}} if answer else {}
    return {"description": meaning, "headers": described, **content}


def _problem(meaning: str) -> Schema:
    return {"description": meaning, "content": {limits.PROBLEM_MEDIA_TYPE: {"schema": _schema(Problem)}}}


def _components() -> dict[str, Schema]:
    """The schemas that have names."""
    hints: list[Any] = [Problem, BatchResult, BatchProblem]
    hints += (hint for route in ROUTES for hint in (route.body, route.answer, *route.other_answers.values()))
    named = list({_name(each): each for hint in hints for each in _named(hint)}.values())
    models = [each for each in named if isinstance(each, type) and issubclass(each, BaseModel)]
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_SCHEMAS)
    return {**schemas["$defs"], **{_name(each): _definition(each) for each in named if each not in models}}


def _named(hint: Any) -> Iterator[Any]:
    """The classes and titled unions that a type is made of. What a model is made of, pydantic finds."""
    if _name(hint):
        yield hint
    for part in get_type_hints(hint).values() if is_typeddict(hint) else get_args(hint):
        yield from _named(part)


def _name(hint: Any) -> str:
    """What the document calls a type; "" for one that it writes out."""
    if get_origin(hint) is Annotated:
        return str(hint.__metadata__[0].title)
    is_class = is_typeddict(hint) or (isinstance(hint, type) and issubclass(hint, BaseModel))
    return str(hint.__name__) if is_class else ""


def _definition(hint: Any) -> Schema:
    """A TypedDict's or a titled union's schema. pydantic refuses typing.TypedDict before Python 3.12."""
    if is_typeddict(hint):
        members = {name: _schema(member) for name, member in get_type_hints(hint).items()}
        return {"type": "object", "description": hint.__doc__, "properties": members, "required": list(members)}
    described = hint.__metadata__[0].description
    return {**({"description": described} if described else {}), **_schema(hint.__origin__)}


def _schema(hint: Any) -> Schema:
    """A type as JSON Schema; what has a name is referred to."""
    if name := _name(hint):
        return {"$ref": _SCHEMAS.format(model=name)}
    origin, parts = get_origin(hint), get_args(hint)
    if origin is list:
        return {"type": "array", "items": _schema(parts[0])}
    if hint is dict or origin is dict:
        return {"type": "object", **({"additionalProperties": _schema(parts[1])} if parts else {})}
    if origin in (Union, UnionType):
        return {"anyOf": [_schema(part) for part in parts]}
    schema: Schema = TypeAdapter(hint).json_schema()
    return schema
