"""Steps as a person sees them: a line each, with how long it takes and what it is busy with.

Of the standard library alone: what installs everything else shows its steps too.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

STEP_INTERVAL_S = 0.2
STEP_LOG_INTERVAL_S = 15.0
"""How often a step's line is shown: on a terminal, and where every showing is a line of its own."""

STEP_WIDTH = 36


@contextlib.contextmanager
def step(name: str, stream: TextIO | None = None) -> Iterator[Callable[[str], None]]:
    """Show a step's name and seconds until the block ends: in place on a terminal, else a line now and then.

    Yields what tells what it is busy with meanwhile.
    """
    out, started, ended, detail = stream or sys.stdout, time.monotonic(), threading.Event(), ""
    start, end = ("\r\x1b[K", "") if out.isatty() else ("", "\n")

    def tell(what: str) -> None:
        nonlocal detail
        detail = what

    def show(end: str = end) -> None:
        line = f"  {name:<{STEP_WIDTH}} {time.monotonic() - started:5.1f} s  {detail}".rstrip()
        out.write(start + line + end)
        out.flush()

    def tick() -> None:
        while not ended.wait(STEP_INTERVAL_S if out.isatty() else STEP_LOG_INTERVAL_S):
            show()

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield tell
        tell("")
    finally:
        ended.set()
        ticker.join()
        show(end="\n")
