"""The open routes, described: health, this document, and the page."""

from __future__ import annotations

from contract.answers import Health
from contract.routes import HEALTH, OPENAPI, PAGE
from lambdas.classify.openapi.parts import Resource, answers, reference

SERVICE = Resource(
    {
        HEALTH: {"responses": answers(reference(Health))},
        OPENAPI: {"responses": answers({"type": "object"})},
        PAGE: {"responses": answers({"type": "string"}, "text/html")},
    },
    typed_dicts=(Health,),
)
