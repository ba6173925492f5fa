"""The OpenAPI 3.1 description of the API: a pure function of the contract and the route table."""

from __future__ import annotations

from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from lambdas.routes import API_KEY_HEADER, CLASSIFY, EMBED, HEALTH, OPENAPI, PAGE, ROUTES, STAGE_NAME, Route
from model.contract import (
    MAX_IMAGES,
    MAX_INLINE_IMAGE_BYTES,
    MODEL_VERSION_HEADER,
    PROBLEM_MEDIA_TYPE,
    REQUEST_ID_HEADER,
    SERVER_TIMING_HEADER,
    WARNING_HEADER,
    ClassifyBody,
    EmbedBody,
    Embeddings,
    EmbedInputs,
    Health,
    LabelScore,
    Parameters,
    Problem,
)

Schema = dict[str, Any]

RED_SQUARE_BASE64 = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mO8IyfHgA0wMeAAg1MCAOBWAShOAhDlAAAAAElFTkSuQmCC"
)
"""A PNG small enough to read, so that the examples can be sent as they are."""

_SCHEMAS = "#/components/schemas/{model}"
_RAW_IMAGES = ("image/*", "application/octet-stream")
_REPEATED = ("candidate_labels", "hypothesis_template", "texts")
"""Fields that a form or a query repeats, one text each; as JSON they may be richer."""

_RESPONSE_HEADERS = {
    MODEL_VERSION_HEADER: "The version of the model that answered",
    REQUEST_ID_HEADER: "Quote it when asking for help",
    SERVER_TIMING_HEADER: "Milliseconds by stage",
    WARNING_HEADER: "Says so if a text was longer than the model reads",
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
            f"Images of one request may be {MAX_INLINE_IMAGE_BYTES:,} bytes together.",
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"api_key": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER}},
        },
    }


def _operation(route: Route) -> Schema:
    described = {
        "operationId": route.path.strip("/").split(".")[0] or "page",
        "summary": route.summary,
        "security": [] if route.open else [{"api_key": []}],
        "responses": {
            "200": _ANSWERS[route],
            "4XX": _problem("The request can't be answered; the sentence says what to do"),
            "5XX": _problem("Wordsight can't answer now; with a retry-after header, later"),
        },
    }
    if route is CLASSIFY:
        described["parameters"] = [_query_parameter(name, schema) for name, schema in _classify_fields().items()]
        described["requestBody"] = _body("ClassifyBody", _classify_fields(), _CLASSIFY_EXAMPLES)
    if route is EMBED:
        described["requestBody"] = _body("EmbedBody", {"texts": _embed_texts()}, _EMBED_EXAMPLES)
    return described


def _body(model: str, fields: dict[str, Schema], examples: Schema) -> Schema:
    """One JSON object, or a form with the same names, or one image as it is."""
    image = {"type": "array", "maxItems": MAX_IMAGES, "items": {"contentMediaType": "application/octet-stream"}}
    form = {"type": "object", "properties": {"image": image, **fields}, "additionalProperties": False}
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": _SCHEMAS.format(model=model)}, "examples": examples},
            "multipart/form-data": {"schema": form},
            **{media_type: {"schema": {"description": "The image's bytes"}} for media_type in _RAW_IMAGES},
        },
    }


def _classify_fields() -> dict[str, Schema]:
    """The parameters by name, as forms and queries take them: JSON where they are objects, else text."""
    properties = Parameters.model_json_schema(ref_template=_SCHEMAS)["properties"]
    fields = {name: _as_text(name, schema) for name, schema in properties.items()}
    return {**fields, "parameters": {"$ref": _SCHEMAS.format(model="Parameters")}}


def _embed_texts() -> Schema:
    return _as_text("texts", EmbedInputs.model_json_schema()["properties"]["texts"])


def _as_text(name: str, schema: Schema) -> Schema:
    if name not in _REPEATED:
        return schema
    return {"type": "array", "items": {"type": "string"}, "description": schema.get("description", "Repeat it")}


def _query_parameter(name: str, schema: Schema) -> Schema:
    described = {"name": name, "in": "query", "description": "With an image as the body, or a form"}
    if schema.get("type") == "object" or "$ref" in schema:
        return {**described, "content": {"application/json": {"schema": schema}}}
    return {**described, "schema": schema}


def _schemas() -> dict[str, Schema]:
    _, models = models_json_schema(
        [(ClassifyBody, "validation"), (EmbedBody, "validation"), (Problem, "validation")], ref_template=_SCHEMAS
    )
    typed_dicts = {kind.__name__: _object(kind) for kind in (LabelScore, Embeddings, Health)}
    images = typed_dicts["Embeddings"]["properties"]["images"]
    images["items"] = {"anyOf": [images["items"], {"$ref": _SCHEMAS.format(model="Problem")}]}
    return {**models["$defs"], **typed_dicts, "Classification": _classification()}


def _object(typed_dict: type) -> Schema:
    # pydantic refuses typing.TypedDict itself before Python 3.12, but not the types of its members
    members = {name: TypeAdapter(hint).json_schema() for name, hint in get_type_hints(typed_dict).items()}
    return {
        "type": "object",
        "description": typed_dict.__doc__,
        "properties": members,
        "required": list(members),
    }


def _classification() -> Schema:
    """Every shape of an answer: what one image gets, or a list of that with problems in their places."""
    scores = {"type": "array", "items": {"$ref": _SCHEMAS.format(model="LabelScore")}}
    by_task = {"type": "object", "additionalProperties": scores}
    problem = {"$ref": _SCHEMAS.format(model="Problem")}
    several = {"type": "array", "items": {"anyOf": [scores, problem, by_task]}}
    return {
        "description": "Labels, best first; by name for `tasks`; for a list of images a list of these",
        "anyOf": [scores, by_task, several],
    }


def _answer(schema: Schema, media_type: str = "application/json", headers: dict[str, str] | None = None) -> Schema:
    described = {name: {"description": text, "schema": {"type": "string"}} for name, text in (headers or {}).items()}
    return {"description": "The answer", "headers": described, "content": {media_type: {"schema": schema}}}


def _problem(description: str) -> Schema:
    schema = {"$ref": _SCHEMAS.format(model="Problem")}
    return {"description": description, "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}}}


_ANSWERS: dict[Route, Schema] = {
    CLASSIFY: _answer({"$ref": _SCHEMAS.format(model="Classification")}, headers=_RESPONSE_HEADERS),
    EMBED: _answer({"$ref": _SCHEMAS.format(model="Embeddings")}, headers=_RESPONSE_HEADERS),
    HEALTH: _answer({"$ref": _SCHEMAS.format(model="Health")}),
    OPENAPI: _answer({"type": "object"}),
    PAGE: _answer({"type": "string"}, "text/html"),
}

_CLASSIFY_EXAMPLES = {
    "labels": {
        "value": {"inputs": RED_SQUARE_BASE64, "parameters": {"candidate_labels": ["a red square", "a blue square"]}}
    },
    "annotations": {
        "summary": "Labels described by sentences, scored each on its own",
        "value": {
            "inputs": [RED_SQUARE_BASE64],
            "parameters": {
                "candidate_labels": [
                    {"label": "red", "annotations": ["a red square", "something painted red"]},
                    {"label": "round", "annotations": ["a circle", "a ball"]},
                ],
                "multi_label": True,
            },
        },
    },
    "tasks": {
        "summary": "Several questions about one image",
        "value": {
            "inputs": RED_SQUARE_BASE64,
            "parameters": {
                "tasks": {
                    "colour": {"candidate_labels": "red, blue"},
                    "shape": {"candidate_labels": "square, circle", "top_k": 1},
                }
            },
        },
    },
}

_EMBED_EXAMPLES = {"both": {"value": {"inputs": {"images": [RED_SQUARE_BASE64], "texts": ["a red square"]}}}}
