"""Powertools' resolver as the API's functions use it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig

from contract.invocation import InvocationAttributes
from contract.limits import EXPOSED_HEADERS, SDK_CONNECT_TIMEOUT_S, SDK_READ_TIMEOUT_S
from lambdas.web.problems import answer_problems

ANSWERING_MS = 500
"""What a function keeps for itself to hand an answer on."""


def attributes_of(app: APIGatewayRestResolver) -> InvocationAttributes:
    """What the container is told beside the app's current request: its id, and until when an answer is waited for.

    That is when the SDK stops listening, or shortly before the function is stopped if that comes first.
    """
    left_ms = app.lambda_context.get_remaining_time_in_millis() - ANSWERING_MS
    left_ms = min(left_ms, 1000 * (SDK_CONNECT_TIMEOUT_S + SDK_READ_TIMEOUT_S))
    return InvocationAttributes(app.current_event.request_context.request_id or "", int(time.time() * 1000) + left_ms)


def create_resolver(cors_origins: Sequence[str], logger: Logger) -> APIGatewayRestResolver:
    """Powertools' resolver with our CORS headers and our problems, and no route yet."""
    app = APIGatewayRestResolver(cors=_cors(cors_origins))
    answer_problems(app, logger)
    return app


def _cors(origins: Sequence[str]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(origins[0], extra_origins=list(origins[1:]), expose_headers=list(EXPOSED_HEADERS), max_age=3600)
