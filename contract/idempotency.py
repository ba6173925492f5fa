"""Ids and idempotency: what things are created under, and what is remembered so that a repeated request creates nothing
twice.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

from contract.forms import FORM, read_fields
from contract.problems import ProblemError
from contract.validation import JSON, json_object, media_type_of

IDEMPOTENCY_HEADER = "idempotency-key"
IDEMPOTENCY_PREFIX = "idempotency/"
"""Where in the data bucket it is kept, for IDEMPOTENCY_DAYS."""
IDEMPOTENCY_DAYS = 1
MAX_IDEMPOTENCY_KEY_CHARS = 255

ID = re.compile(r"\d{14}-[0-9a-f]{6}")
"""Of an import, a training, a batch or a promotion: when it was created, in UTC, and six drawn digits."""


class Answer(TypedDict):
    """What was answered first."""

    status: int
    body: str
    headers: dict[str, str]


class Remembered(TypedDict):
    """One request: the id it creates under, its `request_digest`, until when it may be at work, and its answer."""

    id: str
    request_sha256: str
    busy_until_epoch_s: int
    answer: Answer | None


def remembered_key(route: str, key: str) -> str:
    """Where in the data bucket a request to `route`, such as "POST /uploads", with this Idempotency-Key is kept."""
    return f"{IDEMPOTENCY_PREFIX}{hashlib.sha256(f'{route} {key}'.encode()).hexdigest()}.json"


def request_digest(
    method: str, path: str, query: Mapping[str, Sequence[str]], content_type: str | None, body: bytes
) -> str:
    """The same for two requests exactly if they ask the same, however it is written: JSON with other blanks or another
    order of names, a form with another boundary, a query in another order. Values of one name keep theirs.
    """
    media_type = media_type_of(content_type)
    parts = [method, path, _by_name(query), media_type, _parts(media_type, content_type, body)]
    return _sha256(json.dumps(parts).encode())


def _parts(media_type: str, content_type: str | None, body: bytes) -> Any:
    """What a body says; its bytes where it can't be read, which is for others to tell."""
    try:
        if media_type == JSON:
            return _sha256(json.dumps(json_object(body), sort_keys=True).encode())
        if media_type == FORM:
            images, fields = read_fields(content_type, body, {})
            digests = {name: [_sha256(value.encode()) for value in values] for name, values in fields.items()}
            return [[*map(_sha256, images)], _by_name(digests)]
    except (ProblemError, RecursionError):
        pass
    return [_sha256(body)]


def _by_name(fields: Mapping[str, Sequence[str]]) -> list[tuple[str, list[str]]]:
    return sorted((name, [*values]) for name, values in fields.items())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def now() -> str:
    """The present moment as ISO 8601, in UTC and whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
