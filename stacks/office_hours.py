"""Office hours: when a stage has an endpoint, as `office_hours` of its configuration says it."""

from datetime import time
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY, _TIME = f"({'|'.join(DAYS)})", r"([01]\d|2[0-3]):[0-5]\d"
PATTERN = rf"^({_DAY}(-{_DAY})? {_TIME}-{_TIME} [\w+/-]+)?$"
"""Of what is written: days, hours and a time zone, or nothing."""


class OfficeHours(NamedTuple):
    """Some days of the week, from `begins` to `ends` by the clock of a time zone."""

    days: tuple[str, ...]
    begins: time
    ends: time
    timezone: str

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Those of a text that the pattern allows, None of an empty one. Raises ValueError for what can't be."""
        if not text:
            return None
        days, times, timezone = text.split(" ")
        begins, ends = map(time.fromisoformat, times.split("-"))
        first, _, last = days.partition("-")
        positions = DAYS.index(first), DAYS.index(last or first)
        if positions[0] > positions[1]:
            raise ValueError("the days end before they begin: a week begins with Mon")
        if begins >= ends:
            raise ValueError("the hours end before they begin")
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{timezone!r} is no time zone, allowed is one such as Europe/Berlin or UTC") from None
        return cls(DAYS[positions[0] : positions[1] + 1], begins, ends, timezone)
