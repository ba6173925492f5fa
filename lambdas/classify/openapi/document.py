"""The whole description, put together from those of the resources."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from contract.limits import MAX_INLINE_IMAGE_BYTES
from contract.problems import Problem
from contract.routes import API_KEY_HEADER, ROUTES, STAGE_NAME, Route
from lambdas.classify.openapi.annotations import ANNOTATIONS
from lambdas.classify.openapi.batches import BATCHES
from lambdas.classify.openapi.inference import INFERENCE
from lambdas.classify.openapi.models import MODELS
from lambdas.classify.openapi.parts import SCHEMAS, Schema, problem, typed_dict_schema
from lambdas.classify.openapi.service import SERVICE
from lambdas.classify.openapi.tasks import TASKS
from lambdas.classify.openapi.trainings import TRAININGS
from lambdas.classify.openapi.uploads import UPLOADS

RESOURCES = (INFERENCE, SERVICE, TASKS, UPLOADS, ANNOTATIONS, TRAININGS, MODELS, BATCHES)


def document() -> Schema:
    """The whole description, JSON-ready. Its one server is relative, so it is true wherever it is served."""
    described = {route: said for resource in RESOURCES for route, said in resource.operations.items()}
    paths: dict[str, Schema] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, described[route])
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


def _operation(route: Route, described: Schema) -> Schema:
    return {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "security": [] if route.open else [{"api_key": []}],
        **described,
        "responses": {
            **described["responses"],
            "4XX": problem("The request can't be answered; the sentence says what to do"),
            "5XX": problem("Wordsight can't answer now; with a retry-after header, later"),
        },
    }


def _operation_id(route: Route) -> str:
    """What generated clients call it: `post_classify`, `get_tasks_task`."""
    path = (route.path.split(".")[0] if route.path != "/" else "/page").replace("{", "").replace("}", "")
    return route.method.lower() + path.replace("/", "_")


def _schemas() -> dict[str, Schema]:
    kinds: list[type[BaseModel]] = [Problem, *(model for resource in RESOURCES for model in resource.models)]
    _, models = models_json_schema([(kind, "validation") for kind in kinds], ref_template=SCHEMAS)
    answers = {kind.__name__: typed_dict_schema(kind) for resource in RESOURCES for kind in resource.typed_dicts}
    others = {name: schema for resource in RESOURCES for name, schema in resource.schemas.items()}
    return {**models["$defs"], **answers, **others}
