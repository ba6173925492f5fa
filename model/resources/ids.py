"""Ids of stored things that sort by when these were made: UTC's year to second, and six random hex digits."""

from __future__ import annotations

import re
from datetime import UTC, datetime

ID = re.compile(r"\d{14}-[0-9a-f]{6}")


def now() -> str:
    """The present moment as ISO 8601, in UTC and whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
