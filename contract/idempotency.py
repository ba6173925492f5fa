"""What is remembered of a request with an Idempotency-Key, so that repeating it creates nothing twice."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TypedDict

IDEMPOTENCY_HEADER = "idempotency-key"
IDEMPOTENCY_PREFIX = "idempotency/"
"""Where in the data bucket it is kept, for IDEMPOTENCY_DAYS."""
IDEMPOTENCY_DAYS = 1
MAX_IDEMPOTENCY_KEY_CHARS = 255


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


ID = re.compile(r"\d{14}-[0-9a-f]{6}")


def now() -> str:
    """The present moment as ISO 8601, in UTC and whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
