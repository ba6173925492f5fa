"""What the API's functions share: reading an API Gateway event, and answering it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from lambdas.problems import answer_problems
from model.contract import EXPOSED_HEADERS, MAX_ANSWER_BYTES, REQUEST_ID_HEADER, BadRequest

Headers = Mapping[str, str]


def create_resolver(cors_origins: Sequence[str], logger: Logger) -> APIGatewayRestResolver:
    """Powertools' resolver with our CORS headers and our problems, and no route yet."""
    app = APIGatewayRestResolver(cors=_cors(cors_origins))
    answer_problems(app, logger)
    return app


def body_of(event: APIGatewayProxyEvent) -> bytes:
    """API Gateway hands binary media types over as base64 and everything else as text."""
    body = event.body or ""
    return base64.b64decode(body) if event.is_base64_encoded else body.encode()


def query_of(event: APIGatewayProxyEvent) -> Mapping[str, Sequence[str]]:
    """The query's fields, each with all of its values."""
    single = event.query_string_parameters or {}
    return event.multi_value_query_string_parameters or {name: [value] for name, value in single.items()}


def json_response(
    app: APIGatewayRestResolver, body: Any, headers: Headers | None = None, status: int = 200
) -> Response[str]:
    """A JSON answer with the request's id. Raises BadRequest if it is larger than can be handed back."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    # The runtime puts the text into JSON once more, and may write a character beyond ASCII as six.
    size_bytes = len(json.dumps(text))
    if size_bytes > MAX_ANSWER_BYTES:
        raise BadRequest(
            f"the answer would be {size_bytes:,} bytes, at most {MAX_ANSWER_BYTES:,} can be returned: "
            "set top_k, or ask for fewer images, labels or texts"
        )
    return Response(status, "application/json", text, {**request_id_header(app), **(headers or {})})


def no_content(app: APIGatewayRestResolver) -> Response[str]:
    """The answer to a deletion: it is done, and there is nothing to say."""
    return Response(204, headers=request_id_header(app))


def request_id_header(app: APIGatewayRestResolver) -> dict[str, str | list[str]]:
    """The header by which a request is found in the logs."""
    return {REQUEST_ID_HEADER: app.current_event.request_context.request_id or ""}


def quoted(etag: str) -> str:
    """A document's etag as a header's entity tag (RFC 9110, 8.8.3)."""
    return f'"{etag}"'


def _cors(origins: Sequence[str]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(origins[0], extra_origins=list(origins[1:]), expose_headers=list(EXPOSED_HEADERS), max_age=3600)
