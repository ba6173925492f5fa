"""What happened to one request inside the container: the time each stage took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Trace:
    """Stage durations of one request, and the stages it is in now.

    Stages may overlap, as they run beside each other; one that comes again adds to what it took before.
    """

    def __init__(self) -> None:
        self.durations_ms: dict[str, float] = {}
        self.open_stages: set[str] = set()
        self.truncated_prompts = 0
        self.met_new_labels = False

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time what is done inside. A stage left by an exception stays in `open_stages`: it tells where it happened."""
        self.open_stages.add(name)
        started_s = time.perf_counter()
        yield (stage := Stage())
        stage.parts_s[name] = time.perf_counter() - started_s - sum(stage.parts_s.values())
        for part, duration_s in stage.parts_s.items():
            self.durations_ms[part] = round(self.durations_ms.get(part, 0.0) + duration_s * 1000, 3)
        self.open_stages.remove(name)


class Stage:
    """A stage while it lasts."""

    def __init__(self) -> None:
        self.parts_s: dict[str, float] = {}

    def of_which(self, name: str, duration_s: float) -> None:
        """So much of this stage counts as another one."""
        self.parts_s[name] = duration_s
