"""The routes that ask the model, described."""

from __future__ import annotations

from contract.answers import Embeddings, LabelScore
from contract.limits import MAX_IMAGES, MODEL_VERSION_HEADER, REQUEST_ID_HEADER, SERVER_TIMING_HEADER, WARNING_HEADER
from contract.problems import Problem
from contract.questions import Parameters
from contract.requests import EXAMPLE_IMAGE_BASE64, ClassifyBody, EmbedBody, EmbedInputs
from contract.routes import CLASSIFY, EMBED
from lambdas.classify.openapi.parts import SCHEMAS, Resource, Schema, answers, reference, typed_dict_schema

_RAW_IMAGES = ("image/*", "application/octet-stream")
_REPEATED = ("candidate_labels", "hypothesis_template", "task", "texts")
"""Fields that a form or a query repeats, one text each; as JSON they may be richer."""

_RESPONSE_HEADERS = {
    MODEL_VERSION_HEADER: "The version of the model that answered",
    REQUEST_ID_HEADER: "Quote it when asking for help",
    SERVER_TIMING_HEADER: "Milliseconds by stage",
    WARNING_HEADER: "Says so if a text was longer than the model reads",
}


def image_body(model: str, fields: dict[str, Schema], examples: Schema) -> Schema:
    """One JSON object, or a form with the same names, or one image as it is."""
    image = {"type": "array", "maxItems": MAX_IMAGES, "items": {"contentMediaType": "application/octet-stream"}}
    form = {"type": "object", "properties": {"image": image, **fields}, "additionalProperties": False}
    return {
        "required": True,
        "content": {
            "application/json": {"schema": reference(model), "examples": examples},
            "multipart/form-data": {"schema": form},
            **{media_type: {"schema": {"description": "The image's bytes"}} for media_type in _RAW_IMAGES},
        },
    }


def _classify_fields() -> dict[str, Schema]:
    """The parameters by name, as forms and queries take them: JSON where they are objects, else text."""
    properties = Parameters.model_json_schema(ref_template=SCHEMAS)["properties"]
    fields = {name: _as_text(name, schema) for name, schema in properties.items()}
    return {**fields, "parameters": reference(Parameters)}


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


def _embeddings() -> Schema:
    """As the contract says, with a bad image's problem in its place."""
    schema = typed_dict_schema(Embeddings)
    images = schema["properties"]["images"]
    images["items"] = {"anyOf": [images["items"], reference(Problem)]}
    return schema


def _classification() -> Schema:
    """Every shape of an answer: what one image gets, or a list of that with problems in their places."""
    scores = {"type": "array", "items": reference(LabelScore)}
    by_task = {"type": "object", "additionalProperties": scores}
    problem = reference(Problem)
    several = {"type": "array", "items": {"anyOf": [scores, problem, by_task]}}
    return {
        "description": "Labels, best first; by name for `tasks`; for a list of images a list of these",
        "anyOf": [scores, by_task, several],
    }


_CLASSIFY_EXAMPLES = {
    "labels": {
        "value": {"inputs": EXAMPLE_IMAGE_BASE64, "parameters": {"candidate_labels": ["a red square", "a blue square"]}}
    },
    "annotations": {
        "summary": "Labels described by sentences, scored each on its own",
        "value": {
            "inputs": [EXAMPLE_IMAGE_BASE64],
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
            "inputs": EXAMPLE_IMAGE_BASE64,
            "parameters": {
                "tasks": {
                    "colour": {"candidate_labels": "red, blue"},
                    "shape": {"candidate_labels": "square, circle", "top_k": 1},
                }
            },
        },
    },
}

_EMBED_EXAMPLES = {"both": {"value": {"inputs": {"images": [EXAMPLE_IMAGE_BASE64], "texts": ["a red square"]}}}}

INFERENCE = Resource(
    {
        CLASSIFY: {
            "parameters": [_query_parameter(name, schema) for name, schema in _classify_fields().items()],
            "requestBody": image_body("ClassifyBody", _classify_fields(), _CLASSIFY_EXAMPLES),
            "responses": answers(reference("Classification"), headers=_RESPONSE_HEADERS),
        },
        EMBED: {
            "requestBody": image_body("EmbedBody", {"texts": _embed_texts()}, _EMBED_EXAMPLES),
            "responses": answers(reference("Embeddings"), headers=_RESPONSE_HEADERS),
        },
    },
    models=(ClassifyBody, EmbedBody),
    typed_dicts=(LabelScore,),
    schemas={"Embeddings": _embeddings(), "Classification": _classification()},
)
