"""What people see: bars, tables, and one line that tells how far something is."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

BAR_CHARS = 30
POLL_S = 2.0
COLUMNS = 80


def bar(share: float) -> str:
    """A share between 0 and 1 as a bar of BAR_CHARS characters."""
    filled = round(BAR_CHARS * min(max(share, 0.0), 1.0))
    return "█" * filled + "░" * (BAR_CHARS - filled)


def table(rows: Iterable[Sequence[object]]) -> str:
    """Rows with their columns aligned; None is a dash."""
    texts = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in texts)


def raw(answer: Any) -> str:
    """An answer as the API gave it."""
    return json.dumps(answer, indent=2, ensure_ascii=False)


def json_line(value: Any) -> str:
    """A value as one line of JSON, for programs."""
    return json.dumps(value, ensure_ascii=False)


class Progress:
    """A line that changes on a terminal; elsewhere every change is a line of its own."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shown = ""

    @property
    def on_terminal(self) -> bool:
        """Whether a person looks, who would rather see a line that changes than many."""
        return self._stream.isatty()

    def show(self, text: str) -> None:
        """Replace what was shown."""
        if text != self._shown:
            line = f"\r\x1b[K{clipped(text, self._columns())}" if self._stream.isatty() else f"{text}\n"
            self._stream.write(line)
            self._stream.flush()
            self._shown = text

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or COLUMNS
        except OSError:  # it calls itself a terminal, and is none of this machine's
            return COLUMNS

    def clear(self) -> None:
        """Make room for lines of others; the next `show` writes it again."""
        if self._shown and self._stream.isatty():
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = ""

    def end(self) -> None:
        """Leave the line as it is."""
        if self._shown and self._stream.isatty():
            self._stream.write("\n")


def clipped(text: str, columns: int) -> str:
    """A text that leaves the last column free: in it a terminal would begin a new line, which nothing clears."""
    return text if len(text) < columns else f"{text[: max(columns - 2, 0)]}…"


def duration(seconds: float) -> str:
    """`1:20`, `2:00:05`"""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def share_line(done: int, total: int | None, what: str) -> str:
    """How far something is: a bar, numbers and words."""
    return f"{bar(done / total)} {done:,}/{total:,} {what}".rstrip() if total else what


def watch(
    look: Callable[[], Any],
    line: Callable[[Any], str],
    is_over: Callable[[Any], bool],
    pause: Callable[[float], None] = time.sleep,
) -> Any:
    """Look at something that goes on by itself until it is over; returns what it came to.

    `line` says in a line how far it is, which is shown on stderr meanwhile.
    """
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


def fields(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of a table: the members of an object that say something, lists as their items."""
    return [
        (name.replace("_", " "), _words(value)) for name, value in answer.items() if value not in (None, "", [], {})
    ]


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(each)}" for name, each in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
