"""Tables: rows of a CSV or TSV file, read strictly, so that a stray quote costs its own row and no other."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from contract.layouts.places import IMAGE_SUFFIXES, MAX_LINE_BYTES, Line, suffix_of

DELIMITERS = ("\t", ",", ";", "|")
"""Where the known columns decide for none, the one that parts the header into the most cells is taken."""
MAX_ROW_LINES = 200
"""Over so many lines a quoted cell may stretch."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
NO_UTF_16 = "is UTF-16 text, which is not read: save the file as UTF-8"
BOM = b"\xef\xbb\xbf"


class Row(NamedTuple):
    """The cells of a row, or why there are none; the first and the last line that it takes, and where that ends."""

    line: int
    cells: list[str] | str
    last_line: int
    end_bytes: int


def text_of(content: bytes, *, first: bool = False, is_line: bool = True) -> str:
    """A line or file as text, at the beginning of a file without a byte order mark.

    Raises ValueError with a sentence for what is not UTF-8.
    """
    if first and content.startswith(UTF_16):
        raise ValueError(NO_UTF_16)
    if is_line and len(content) > MAX_LINE_BYTES + 1:
        raise ValueError(f"is longer than the {MAX_LINE_BYTES:,} bytes that a line may have")
    try:
        return (content.removeprefix(BOM) if first else content).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 text (byte {error.start:,}): save the file as UTF-8") from None


def header_of(text: str, known: Iterable[str]) -> tuple[str, list[str]]:
    """What stands between the cells of a table, found by its first line, and the columns; the names of those that are
    `known` are spelled as these are.
    """
    spelled = {name.lower(): name for name in known}
    read = [(mark, [cell.strip() for cell in _cells(text, mark)]) for mark in DELIMITERS]
    mark, columns = max(read, key=lambda one: (sum(cell.lower() in spelled for cell in one[1]), len(one[1])))
    return mark, [spelled.get(cell.lower(), cell) for cell in columns]


def rows_of(lines: Iterable[Line], delimiter: str, columns: Sequence[str], image: int | None) -> Iterator[Row]:
    """The rows of a table behind its header; the column `image` names images.

    A quote that does not close, or that closes so late that rows which name images lie between, is the fault of the
    row that it opens in; reading goes on with the line below that.
    """
    source, waiting = iter(lines), deque[Line]()

    def take() -> Line | None:
        return waiting.popleft() if waiting else next(source, None)

    while (first := take()) is not None:
        taken = [first]

        def fed(taken: list[Line] = taken) -> Iterator[str]:
            yield text_of(taken[0].content)
            while len(taken) < MAX_ROW_LINES and (line := take()) is not None:
                taken.append(line)
                yield text_of(line.content)

        try:
            cells: list[str] | str = next(csv.reader(fed(), delimiter=delimiter, strict=True), [])
            if any(_names_an_image(line, delimiter, image) for line in taken[1:]):
                cells = (
                    'a quote (") opens here and takes in rows that follow: close it, or write "" for one that is text'
                )
        except csv.Error as error:
            cells = _sentence(error)
        except ValueError as error:
            cells = str(error)
        if isinstance(cells, str):
            waiting.extendleft(reversed(taken[1:]))
            del taken[1:]
        elif not any(cell.strip() for cell in cells):
            continue
        elif len(cells) > len(columns):
            cells = f"has more cells than the header ({len(cells)} and {len(columns)}): quote what holds commas"
        elif len(cells) < len(columns):
            cells = f"has fewer cells than the header ({len(cells)} and {len(columns)})"
        yield Row(first.number, cells, taken[-1].number, taken[-1].end_bytes)


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return text.strip().split(delimiter)


def _names_an_image(line: Line, delimiter: str, image: int | None) -> bool:
    cells = line.content.decode(errors="replace").split(delimiter)
    return image is not None and image < len(cells) > 1 and suffix_of(cells[image].strip().strip('"')) in IMAGE_SUFFIXES


def _sentence(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return 'a quote (") opens here and never closes: close it, or write "" for one that is text'
    if "expected after" in str(error):
        return 'a quote (") stands within a quoted cell: write "" for one that is text'
    return f"is no table row: {error}"
