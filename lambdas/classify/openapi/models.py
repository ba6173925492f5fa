"""The routes of models, described."""

from __future__ import annotations

from contract.models import ImportBody, ModelList, ModelView, PromoteBody, Promotion
from contract.routes import ADD_MODEL, GET_MODEL, LIST_MODELS, PROMOTE_MODEL
from lambdas.classify.openapi.parts import IDEMPOTENCY_KEY, Resource, answer, json_body, parameter, reference

_VERSION = parameter("path", "version", "The model's version", {"type": "string"})

_IMPORT_EXAMPLES = {
    "checkpoint": {"value": {"s3_uri": "s3://artifacts-bucket/models/clip-vit-large-patch14/", "version": "large-1"}}
}
_PROMOTE_EXAMPLES = {"forced": {"summary": "Although the gate refused it", "value": {"force": True}}}

MODELS = Resource(
    {
        LIST_MODELS: {"responses": {"200": answer("All of them", reference(ModelList))}},
        GET_MODEL: {
            "parameters": [_VERSION],
            "responses": {"200": answer("The version", reference(ModelView))},
        },
        ADD_MODEL: {
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": json_body(ImportBody, _IMPORT_EXAMPLES),
            "responses": {"201": answer("It is registered", reference(ModelView))},
        },
        PROMOTE_MODEL: {
            "parameters": [_VERSION, IDEMPOTENCY_KEY],
            "requestBody": json_body(PromoteBody, _PROMOTE_EXAMPLES, required=False),
            "responses": {"202": answer("It begins; GET /models/{version} tells how it is", reference(Promotion))},
        },
    },
    models=(ImportBody, PromoteBody, ModelList, ModelView, Promotion),
)
