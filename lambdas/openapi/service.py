"""The open routes, described: health, this document, and the page."""

from __future__ import annotations

from lambdas.openapi.parts import Resource, answers, reference
from lambdas.routes import HEALTH, OPENAPI, PAGE
from model.contract import Health

SERVICE = Resource(
    {
        HEALTH: {"responses": answers(reference(Health))},
        OPENAPI: {"responses": answers({"type": "object"})},
        PAGE: {"responses": answers({"type": "string"}, "text/html")},
    },
    typed_dicts=(Health,),
)
