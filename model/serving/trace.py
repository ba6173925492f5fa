"""What happened to one request inside the container: the time each stage took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Trace:
    """Stage durations of one request, and the stages it is in now. Stages may overlap: they run beside each other."""

    def __init__(self) -> None:
        self.durations_ms: dict[str, float] = {}
        self.open_stages: set[str] = set()
        self.truncated_prompts = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done inside. A stage left by an exception stays in `open_stages`: it tells where it happened."""
        self.open_stages.add(name)
        started_s = time.perf_counter()
        yield
        self.durations_ms[name] = round((time.perf_counter() - started_s) * 1000, 3)
        self.open_stages.remove(name)

    def split(self, name: str, first: str, first_s: float) -> None:
        """Call the first part of a stage that has ended otherwise."""
        first_ms = round(first_s * 1000, 3)
        self.durations_ms[first] = first_ms
        self.durations_ms[name] = round(self.durations_ms[name] - first_ms, 3)
