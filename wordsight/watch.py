"""Looks at something that goes on by itself until it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from wordsight.terminal import Progress

POLL_S = 2.0


def watch(
    look: Callable[[], Any],
    line: Callable[[Any], str],
    is_over: Callable[[Any], bool],
    pause: Callable[[float], None] = time.sleep,
) -> Any:
    """What it came to. `line` says in a line how far it is, which is shown on stderr meanwhile."""
    progress = Progress()
    try:
        while True:
            found = look()
            progress.show(line(found))
            if is_over(found):
                return found
            pause(POLL_S)
    finally:
        progress.end()
