"""Many images, asked of the API in several requests at once: what fails is told in its place, and the others go on."""

import sys
from argparse import ArgumentParser, Namespace
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

from contract.layouts.places import shown
from contract.limits import MAX_IMAGES
from wordsight.api import Api, CommandError, RefusedError
from wordsight.images import Found, image_chunks, image_source, read_image
from wordsight.terminal import Progress, share_line

REQUESTS_AT_ONCE = 4
"""While each of them computes, the next ones are on their way. More would wait for the model, and meet the throttle."""
MAX_FAILURES = 3
"""Requests in a row that fail with the server, each tried again as often as `Api` does: then it is the server's."""

_OF_THE_QUESTION = (400, 401, 403, 404, 409)
"""Refusals that every image would get, if the first one gets them."""
_OF_THE_CALLER = (401, 403)
"""And those that every image gets from then on."""
_OF_MANY = (400, 413, 502, 504)
"""Refusals that fewer images may not get: one answer has no room for so many scores, or one of them takes too long."""

Ask = Callable[[Api, list[Any]], list[Any]]
"""From what stands for images in a request to an answer for each."""


class Failed(NamedTuple):
    """Why an image has no answer."""

    sentence: str


Read = tuple[str, Failed | None]
"""An image's path, and why it can't be read if it can't."""


def ask_each(api: Api, paths: Iterable[str], ask: Ask) -> Iterator[tuple[str, Any]]:
    """Every image's path with its answer or Failed, in order, each as soon as it and those before it are known.

    The first request has one image and the following ones more, so that the first answers come soon. Raises
    CommandError if the question is refused, and if the API does not answer any more.
    """
    at_once = REQUESTS_AT_ONCE

    def slower(pause_s: float) -> None:
        nonlocal at_once
        at_once = max(1, at_once - 1)
        api.pause(pause_s)

    patient = replace(api, pause=slower)
    judge = _Judge()
    waiting: deque[tuple[list[Read], Future[list[Any]]]] = deque()
    threads = ThreadPoolExecutor(REQUESTS_AT_ONCE)
    try:
        for chunk in image_chunks(_read(paths), _growing()):
            images = [image for (_, failed), image in chunk if failed is None]
            waiting.append(([read for read, _ in chunk], threads.submit(_ask_all, patient, images, ask)))
            while waiting and (len(waiting) >= at_once or not judge.answered):
                yield from judge.outcomes(*waiting.popleft())
        while waiting:
            yield from judge.outcomes(*waiting.popleft())
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


class _Judge:
    """Tells a refusal of the question from one of an image, by what came before."""

    def __init__(self) -> None:
        self.answered = False
        self._last: CommandError | None = None
        self._in_a_row = 0

    def outcomes(self, reads: list[Read], asked: "Future[list[Any]]") -> Iterator[tuple[str, Any]]:
        answers = iter(asked.result())
        for path, failed in reads:
            answer = failed or next(answers)
            if isinstance(answer, CommandError):
                self._failed(answer)
                answer = Failed(str(answer))
            elif not failed:
                self.answered, self._in_a_row = True, 0
            yield path, answer

    def _failed(self, error: CommandError) -> None:
        status = error.status if isinstance(error, RefusedError) else None
        if status in _OF_THE_CALLER or (not self.answered and status in (None, *_OF_THE_QUESTION)):
            raise error
        if error is not self._last:
            self._in_a_row = self._in_a_row + 1 if status is None or status >= 500 else 0
            self._last = error
        if self._in_a_row == MAX_FAILURES:
            raise CommandError(f"{error} (the {MAX_FAILURES} last requests failed: no other image is asked)")


def _read(paths: Iterable[str]) -> Iterator[tuple[Read, bytes]]:
    for path in paths:
        try:
            image, failed = read_image(path), None
        except CommandError as error:
            image, failed = b"", Failed(str(error))
        yield (path, failed), image


def _growing() -> Iterator[int]:
    most = 1
    while True:
        yield most
        most = min(4 * most, MAX_IMAGES)


def _ask_all(api: Api, images: list[bytes], ask: Ask) -> list[Any]:
    """An answer or a CommandError for each. A request that may have too many images is cut in two."""
    try:
        return ask(api, [image_source(api, image) for image in images]) if images else []
    except RefusedError as error:
        if len(images) > 1 and error.status in _OF_MANY:
            middle = len(images) // 2
            return [*_ask_all(api, images[:middle], ask), *_ask_all(api, images[middle:], ask)]
        return [error] * len(images)
    except CommandError as error:
        return [error] * len(images)


def add_images(parser: ArgumentParser, nargs: str) -> None:
    """IMAGE … and --progress"""
    what = "a file, a folder with all images below it, or - for standard input"
    parser.add_argument("images", nargs=nargs, metavar="IMAGE", help=what)
    parser.add_argument("--progress", action="store_true", help="tell on stderr how far it is, also if no terminal is")


class Told:
    """What stderr says meanwhile: a sentence for each image that failed, and where a person looks, how far it is.

    A line that changes is for those who don't see the answers themselves.
    """

    def __init__(self, found: Found, arguments: Namespace) -> None:
        wanted = arguments.progress or (sys.stderr.isatty() and not sys.stdout.isatty())
        self._progress = Progress() if wanted else None
        self._found = found
        self._failed = 0

    def each(self, outcomes: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """The same outcomes, of which API problems have become Failed."""
        for done, (path, outcome) in enumerate(outcomes, 1):
            if self._progress:
                self._progress.clear()
            failed = _failure(outcome)
            if failed:
                self._failed += 1
                print(shown(f"{path}: {failed.sentence}"), file=sys.stderr)
            yield path, failed or outcome
            if self._progress:
                self._progress.show(share_line(done, len(self._found.paths), "images"))
        if self._progress:
            self._progress.end()
        if self._found.skipped:
            print(f"skipped {self._found.skipped:,} files that are not called like images", file=sys.stderr)

    def end(self) -> None:
        """Raises CommandError if an image failed."""
        if self._failed:
            raise CommandError(f"{self._failed:,} of {len(self._found.paths):,} images have no answer")


def _failure(outcome: Any) -> Failed | None:
    if isinstance(outcome, Failed):
        return outcome
    is_problem = isinstance(outcome, dict) and isinstance(outcome.get("status"), int)  # by task, every member is a list
    return Failed(str(outcome["detail"])) if is_problem else None
