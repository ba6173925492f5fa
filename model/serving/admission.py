"""Admission: who would wait too long is told so at once, while those who were let in are still served in time.

A server that takes every request answers none in time once more come than it can serve (Harchol-Balter, Performance
Modeling and Design of Computer Systems, 2013, chapter 5). The wait of a new request is the work before it divided by
the speed at which work has been done lately.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from contract.limits import CONTAINER_TIMEOUT_S
from contract.problems import TooManyRequests

MEMORY_S = 1.0
"""For how long past speed counts: by then its weight is down to 1/e."""


class Admission:
    """How much is being done, and whether more may come. Work is counted in images."""

    def __init__(self, budget_s: float, max_bytes: int, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._budget_s = budget_s
        self._max_bytes = max_bytes
        self._clock_s = clock_s
        self._busy_s, self._done = 0.0, 1.0
        self._since_s = 0.0
        self.requests = 0
        self.images = 0
        self.bytes = 0
        self.refusals: Counter[str] = Counter()

    def expect(self, s_per_image: float) -> None:
        """What an image takes, as long as nothing is known from requests."""
        self._busy_s, self._done = s_per_image, 1.0

    @property
    def wait_s(self) -> float:
        """How long a request that comes now would wait for its turn."""
        return self.images * self._busy_s / self._done

    def check_wait(self) -> None:
        """Raises TooManyRequests if a request would have to wait longer than the budget. Nobody waits behind no one."""
        if self.images and self.wait_s > self._budget_s:
            self.refusals["wait"] += 1
            raise TooManyRequests(
                f"{self.images} images wait for the model, which takes about {self.wait_s:.1f} s, and more than "
                f"{self._budget_s:g} s is too long to let another request wait: try again",
                retry_after_s=math.ceil(self.wait_s),
            )

    @contextmanager
    def holding(self, size_bytes: int) -> Iterator[None]:
        """Answer a request with its body in memory. Raises TooManyRequests if the bodies there leave no room for it."""
        if self.bytes and self.bytes + size_bytes > self._max_bytes:
            self.refusals["bytes"] += 1
            raise TooManyRequests(
                f"{self.bytes:,} bytes of other requests are in memory, and {size_bytes:,} more would exceed "
                f"{self._max_bytes:,}: try again",
                retry_after_s=max(1, math.ceil(self.wait_s)),
            )
        self.bytes += size_bytes
        self.requests += 1
        try:
            yield
        finally:
            self.bytes -= size_bytes
            self.requests -= 1

    @contextmanager
    def working(self) -> Iterator[Work]:
        """Count a request's work from its beginning to its end.

        What is given up tells nothing of the speed, nor does what waited for something else or brought nothing for
        the model: its time is left out.
        """
        if not self.images:
            self._since_s = self._clock_s()
        self.images += 1
        work = Work(self)
        try:
            yield work
            if work.tells_speed and work.images:
                passed_s = self._clock_s() - self._since_s
                remembered = math.exp(-passed_s / MEMORY_S)
                self._busy_s = self._busy_s * remembered + passed_s
                self._done = self._done * remembered + work.images
        finally:
            self._since_s = self._clock_s()
            self.images -= work.before_others


class Work:
    """One request's. It stands before others as one image, however many it has, as requests take turns."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.images = 0
        self.before_others = 1
        self.tells_speed = True
        self._aside = False

    def has(self, images: int) -> None:
        """It has so many images. Raises TooManyRequests if they would not be through, taking turns with the others'
        one by one, before nobody waits any more.
        """
        admission = self._admission
        through_s = images * admission.wait_s
        if images > 1 and admission.images > 1 and through_s > CONTAINER_TIMEOUT_S / 2:
            admission.refusals["list"] += 1
            raise TooManyRequests(
                f"{images} images would take about {through_s:.0f} s beside {admission.images - 1} other requests, and "
                f"more than {CONTAINER_TIMEOUT_S / 2:g} s is too long: send fewer at once, or try again",
                retry_after_s=math.ceil(through_s - CONTAINER_TIMEOUT_S / 2),
            )

    @contextmanager
    def queuing(self, images: int) -> Iterator[None]:
        """So many of its images wait for the model, or are seen by it, together."""
        self.images += images
        self._stand(1)
        try:
            yield
        finally:
            self._stand(0 if self._aside else 1)

    def step_aside(self) -> None:
        """It takes long for a reason of its own, where nobody else waits for it: it stands before no others until the
        model is to see it, and tells nothing of the speed.
        """
        self._aside = True
        self.tells_speed = False
        self._stand(0)

    def _stand(self, images: int) -> None:
        self._admission.images += images - self.before_others
        self.before_others = images
