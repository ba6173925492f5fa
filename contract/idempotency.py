"""Ids and idempotency: what things are created under, and what is remembered so that a repeated request creates nothing
twice.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import TypedDict

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
    """One request: the id it creates under, a digest of its body, until when it may be at work, and its answer."""

    id: str
    body_sha256: str
    busy_until_epoch_s: int
    answer: Answer | None


def remembered_key(route: str, key: str) -> str:
    """Where in the data bucket a request to `route`, such as "POST /uploads", with this Idempotency-Key is kept."""
    return f"{IDEMPOTENCY_PREFIX}{hashlib.sha256(f'{route} {key}'.encode()).hexdigest()}.json"


def now() -> str:
    """The present moment as ISO 8601, in UTC and whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
