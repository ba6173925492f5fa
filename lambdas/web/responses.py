"""Answering an API Gateway event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from contract.limits import MAX_ANSWER_BYTES, REQUEST_ID_HEADER
from contract.problems import BadRequest

Headers = Mapping[str, str]


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
