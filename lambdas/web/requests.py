"""Reading an API Gateway event: its body, its query, and the page of a list."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from contract.problems import BadRequest


def page_of(query: Mapping[str, Sequence[str]], most: int, *others: str) -> tuple[int, str]:
    """(limit, after) of a query; `most` is the default limit. `others` are fields that the route reads itself.

    Raises BadRequest for any other field, and for a limit that is not a number between 1 and `most`.
    """
    known_fields(query, "limit", "after", *others)
    limit = one_of(query, "limit") or str(most)
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= most and len(limit) < 9):
        raise BadRequest(f"limit is {limit[:60]!r}, allowed is a number from 1 to {most}")
    return int(limit), one_of(query, "after")


def known_fields(query: Mapping[str, Sequence[str]], *allowed: str) -> None:
    """Raises BadRequest for a field that is none of the `allowed`."""
    if unknown := [name for name in query if name not in allowed]:
        raise BadRequest(f"{', '.join(unknown)}: not a known field of the query, allowed are {', '.join(allowed)}")


def one_of(query: Mapping[str, Sequence[str]], name: str) -> str:
    """The one value of a field, or "". Raises BadRequest if it is given twice."""
    values = query.get(name, [])
    if len(values) > 1:
        raise BadRequest(f"{name} is given {len(values)} times: give it once")
    return values[0] if values else ""


def body_of(event: APIGatewayProxyEvent) -> bytes:
    """API Gateway hands binary media types over as base64 and everything else as text."""
    body = event.body or ""
    return base64.b64decode(body) if event.is_base64_encoded else body.encode()


def query_of(event: APIGatewayProxyEvent) -> Mapping[str, Sequence[str]]:
    """The query's fields, each with all of its values."""
    single = event.query_string_parameters or {}
    return event.multi_value_query_string_parameters or {name: [value] for name, value in single.items()}
