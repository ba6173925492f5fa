"""The routes of annotations and their imports, described."""

from __future__ import annotations

from contract.annotations import (
    DEFAULT_DATASET,
    MAX_DATASET_CHARS,
    MAX_LISTED_ANNOTATIONS,
    Annotation,
    AnnotationList,
    AnnotationsBody,
    Erased,
    NewAnnotation,
    Said,
    StoredAnnotation,
)
from contract.idempotency import ID
from contract.imports import AnnotationImportBody, ImportView
from contract.limits import UPLOADS_PREFIX
from contract.problems import Problem
from contract.requests import EXAMPLE_IMAGE_BASE64
from contract.routes import (
    DELETE_ANNOTATION,
    ERASE_IMAGE,
    GET_ANNOTATION,
    GET_IMPORT,
    LIST_ANNOTATIONS,
    POST_ANNOTATIONS,
    POST_IMPORT,
    PUT_ANNOTATION,
)
from lambdas.classify.openapi.inference import image_body
from lambdas.classify.openapi.parts import (
    IDEMPOTENCY_KEY,
    Resource,
    Schema,
    answer,
    json_body,
    page,
    parameter,
    reference,
)

_TEXT: Schema = {"type": "string"}
_DATASET = parameter(
    "query", "dataset", "Of the annotations", {**_TEXT, "default": DEFAULT_DATASET, "maxLength": MAX_DATASET_CHARS}
)
_ONE = [parameter("path", "id", "The annotation's id", _TEXT), _DATASET]
_IMPORT = parameter("path", "id", "The import's id", {**_TEXT, "pattern": f"^{ID.pattern}$"})
_IMAGE = parameter("query", "image", "sha256 of the image's file", {**_TEXT, "pattern": "^[0-9a-f]{64}$"})
_IF_MATCH = parameter("header", "if-match", "The etag that was seen", _TEXT)
_ETAG = {"etag": "Names this state of the annotation"}


def _fields() -> dict[str, Schema]:
    """What is said beside the images of a form, or in the query beside one image as it is."""
    properties = {**Said.model_json_schema()["properties"], "dataset": _DATASET["schema"]}
    return {**properties, "sentences": {"type": "array", "items": _TEXT, "description": "Repeat it"}}


def _beside_an_image(name: str, schema: Schema) -> Schema:
    return {**parameter("query", name, "With an image as the body, or a form", schema), "required": False}


_EXAMPLES = {
    "sentences": {
        "value": {
            "image": EXAMPLE_IMAGE_BASE64,
            "sentences": ["a red square", "something painted red"],
            "dataset": "shapes",
        }
    },
    "labels": {
        "summary": "Many at once",
        "value": {
            "annotations": [
                {"image": EXAMPLE_IMAGE_BASE64, "label": "red", "task": "colour", "split": "train"},
                {"image": {"s3_key": f"{UPLOADS_PREFIX}1"}, "label": "blue", "task": "colour"},
            ]
        },
    },
}
_EDIT_EXAMPLES = {"label": {"value": {"label": "blue", "task": "colour"}}}
_IMPORT_EXAMPLES = {
    "folder": {
        "summary": "metadata.jsonl beside images, or a folder per label",
        "value": {"s3_prefix": f"{UPLOADS_PREFIX}pets/", "dataset": "pets", "task": "pet"},
    },
    "lines": {"value": {"s3_key": f"{UPLOADS_PREFIX}pets.jsonl", "dataset": "pets"}},
}
_ANNOTATIONS_ANSWER: Schema = {
    "description": "What was stored; for a list of annotations a list, with problems in their places",
    "anyOf": [
        reference(StoredAnnotation),
        {"type": "array", "items": {"anyOf": [reference(StoredAnnotation), reference(Problem)]}},
    ],
}

ANNOTATIONS = Resource(
    {
        POST_ANNOTATIONS: {
            "parameters": [IDEMPOTENCY_KEY, *(_beside_an_image(*each) for each in _fields().items())],
            "requestBody": image_body("AnnotationsRequest", _fields(), _EXAMPLES),
            "responses": {
                "200": answer("All of it was there already, or nothing was good", reference("AnnotationsAnswer")),
                "201": answer("It is stored", reference("AnnotationsAnswer")),
            },
        },
        LIST_ANNOTATIONS: {
            "parameters": [*page(MAX_LISTED_ANNOTATIONS), _DATASET],
            "responses": {"200": answer("A page of them", reference(AnnotationList))},
        },
        ERASE_IMAGE: {
            "parameters": [{**_IMAGE, "required": True}],
            "responses": {"200": answer("There is no trace of it left", reference(Erased))},
        },
        GET_ANNOTATION: {
            "parameters": _ONE,
            "responses": {"200": answer("The annotation", reference(Annotation), headers=_ETAG)},
        },
        PUT_ANNOTATION: {
            "parameters": [*_ONE, _IF_MATCH],
            "requestBody": json_body(Said, _EDIT_EXAMPLES),
            "responses": {"200": answer("It was changed", reference(Annotation), headers=_ETAG)},
        },
        DELETE_ANNOTATION: {
            "parameters": [*_ONE, _IF_MATCH],
            "responses": {"204": answer("It is forgotten, its image is kept")},
        },
        POST_IMPORT: {
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": json_body(AnnotationImportBody, _IMPORT_EXAMPLES),
            "responses": {"202": answer("It begins", reference(ImportView))},
        },
        GET_IMPORT: {"parameters": [_IMPORT], "responses": {"200": answer("The import", reference(ImportView))}},
    },
    models=(NewAnnotation, AnnotationsBody, Said, Annotation, AnnotationList, AnnotationImportBody, ImportView),
    typed_dicts=(StoredAnnotation, Erased),
    schemas={
        "AnnotationsRequest": {"anyOf": [reference(NewAnnotation), reference(AnnotationsBody)]},
        "AnnotationsAnswer": _ANNOTATIONS_ANSWER,
    },
)
