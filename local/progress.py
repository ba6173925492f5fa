"""What a person sees while waiting: each step's name, its seconds, and what it is busy with."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

TERMINAL_INTERVAL_S = 0.2
LOG_INTERVAL_S = 15.0
WIDTH = 36


class Step:
    """A step under way. `detail` may change at any time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.detail = ""
        self._started = time.monotonic()

    def line(self) -> str:
        return f"  {self.name:<{WIDTH}} {time.monotonic() - self._started:5.1f} s  {self.detail}".rstrip()


@contextlib.contextmanager
def step(name: str, stream: TextIO | None = None) -> Iterator[Step]:
    """Show a step until the block ends: in place on a terminal, else a line now and then."""
    out = stream or sys.stdout
    current, ended = Step(name), threading.Event()
    in_place = out.isatty()

    def tick() -> None:
        while not ended.wait(TERMINAL_INTERVAL_S if in_place else LOG_INTERVAL_S):
            _write(out, current.line(), in_place, done=False)

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield current
        current.detail = ""
    finally:
        ended.set()
        ticker.join()
        _write(out, current.line(), in_place, done=True)


def _write(out: TextIO, line: str, in_place: bool, done: bool) -> None:
    start, end = ("\r\x1b[K", "\n" if done else "") if in_place else ("", "\n")
    out.write(start + line + end)
    out.flush()
