"""How a worker asks the endpoint about many images. Nobody waits for it, and what it writes down as a problem stays
one: so it waits itself for what passes, and finds the images at which the endpoint fails.
"""

import base64
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from contract.limits import SDK_CONNECT_TIMEOUT_S, SDK_READ_TIMEOUT_S
from contract.problems import (
    BadGateway,
    GatewayTimeout,
    ModelStopped,
    PayloadTooLarge,
    ProblemError,
    ServiceUnavailable,
    TooManyRequests,
)
from contract.requests import EXAMPLE_IMAGE_BASE64

RESERVE_MS = 1000 * (SDK_CONNECT_TIMEOUT_S + SDK_READ_TIMEOUT_S) + 10_000
"""What one more invocation and writing its results may take: nothing is tried again with less time left."""
MAX_PAUSE_S = 30
TRIES = 5
"""Of an image that the container turns away among others, with pauses of 2, 4, 8 and 16 s, or up to twice as long."""

_PASSING = frozenset({TooManyRequests.status, ServiceUnavailable.status})
_OF_SOME_IMAGE = (BadGateway, GatewayTimeout, PayloadTooLarge, ModelStopped)
"""What a single image may be the reason for, such as one whose decoding takes all of the container's memory."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Patience(Generic[Answer]):
    """Asks for one worker, whose time ends in `left_ms()` and which can `pause` for so many seconds."""

    ask: Callable[[Sequence[bytes]], Sequence[Answer]]
    """About images: an answer each, in their order. Raises what `Endpoint.invoke` raises."""
    status_of: Callable[[Answer], int]
    """Of an answer that is a problem; 0 for any other."""
    as_answer: Callable[[ProblemError], Answer]
    left_ms: Callable[[], int]
    pause: Callable[[float], None]

    def answers(self, images: Sequence[bytes]) -> list[Answer]:
        """An answer to each image, in their order. Where the endpoint fails, it is asked about fewer of them, down to
        the image at fault, whose problem takes its place.

        Raises ServiceUnavailable if it can't answer while there is time, and BadGateway if it fails at every image, and
        at one that is known to be good.
        """
        found = self._each(images, self._ask_twice) if images else []
        if found and all(self.status_of(answer) >= 500 for answer in found):
            self._check_endpoint()
        return found

    def _each(self, images: Sequence[bytes], ask: Callable[[Sequence[bytes]], Sequence[Answer]]) -> list[Answer]:
        try:
            return self._settled(images, ask(images))
        except _OF_SOME_IMAGE as problem:
            if len(images) == 1:
                return [self.as_answer(problem)]
        middle = len(images) // 2
        return [*self._each(images[:middle], self._ask_part), *self._each(images[middle:], self._ask_part)]

    def _ask_twice(self, images: Sequence[bytes]) -> Sequence[Answer]:
        """Again, as soon as it answers: it was others' doing, perhaps, or it was starting."""
        try:
            return self._patiently(images)
        except (ModelStopped, GatewayTimeout) as problem:
            if isinstance(problem, GatewayTimeout) and len(images) > 1:
                raise
            self._ask_example()
            return self._patiently(images)

    def _ask_part(self, images: Sequence[bytes]) -> Sequence[Answer]:
        """Of images among which one is at fault: a model is not stopped twice by the same ones."""
        if len(images) == 1:
            return self._ask_twice(images)
        try:
            return self._patiently(images)
        except ModelStopped:
            self._ask_example()
            raise

    def _settled(self, images: Sequence[bytes], answers: Sequence[Answer]) -> list[Answer]:
        """The answers, of images that were turned away those of a later attempt."""
        found = list(answers)
        for attempt in range(1, TRIES):
            again = [number for number, answer in enumerate(found) if self.status_of(answer) in _PASSING]
            if not again:
                break
            if not self._has_paused(2.0**attempt):
                raise ServiceUnavailable(f"the model turned {len(again)} images away, and no time is left to ask again")
            for number, answer in zip(again, self._patiently([images[number] for number in again]), strict=True):
                found[number] = answer
        return found

    def _ask_example(self) -> Answer:
        """The same of an image that is known to be good."""
        (answer,) = self._patiently([base64.b64decode(EXAMPLE_IMAGE_BASE64)], until_it_answers=True)
        return answer

    def _check_endpoint(self) -> None:
        try:
            status, detail = self.status_of(self._ask_example()), ""
        except _OF_SOME_IMAGE as problem:
            status, detail = problem.status, f": {problem.detail}"
        if status:
            raise BadGateway(f"the endpoint fails at every image, also at one that is known to be good{detail}")

    def _patiently(self, images: Sequence[bytes], *, until_it_answers: bool = False) -> Sequence[Answer]:
        attempt = 0
        while True:
            try:
                return self.ask(images)
            except (ServiceUnavailable, GatewayTimeout) as problem:
                if isinstance(problem, (ModelStopped, GatewayTimeout)) and not until_it_answers:
                    raise
                attempt += 1
                if not self._has_paused(min(max(problem.retry_after_s or 0, 2**attempt), MAX_PAUSE_S)):
                    raise ServiceUnavailable(problem.detail, retry_after_s=problem.retry_after_s) from problem

    def _has_paused(self, pause_s: float) -> bool:
        """Whether there was time to wait, for so long or up to twice as long, and still is to ask."""
        if self.left_ms() < RESERVE_MS + 2000 * pause_s:
            return False
        self.pause(pause_s * random.uniform(1, 2))  # noqa: S311, so that not all workers come back at once
        return True
