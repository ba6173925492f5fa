"""JSON that strangers wrote, in a request, a file or a line of one: read strictly, by one reader, so that whatever it
holds ends as a value or as a sentence.
"""

import json
import math
import re
import sys
from collections.abc import Iterator
from typing import Any

from contract.problems import BadRequest, shorten

MAX_FILE_BYTES = 8 * 1024 * 1024
"""What is read of a file: a wordsight.json has some ten kilobytes, CLIP's tokenizer.json two megabytes."""
MAX_DEPTH = 32
"""Of objects and lists in each other; a tokenizer.json has 6."""
LOST = re.compile("[\0\ufffd\ud800-\udfff]")
"""What no text holds: NUL, half of a character, and the sign that stands where bytes could not be read."""
NOT_TEXT = "holds a NUL, half a character, or U+FFFD, which stands for bytes that are not UTF-8: send UTF-8 text"
_HALF = re.compile("[\ud800-\udfff]")


def json_of(text: str) -> Any:
    """The value of a JSON text as RFC 8259 has it: each name of an object once, and numbers that are finite. A text in
    it may hold half a character; who keeps it asks.

    Raises ValueError with what is wrong.
    """
    if text.startswith("\ufeff"):
        raise ValueError("it begins with a byte order mark: save it without")
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError as error:
        why = str(error)
        if why.startswith("Exceeds the limit"):  # of Python
            why = f"a number has more than {sys.get_int_max_str_digits():,} digits"
        raise ValueError(shorten(why, 120)) from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    return value


def object_of(name: str, content: bytes | None, most_bytes: int = MAX_FILE_BYTES) -> dict[str, Any]:
    """The JSON object that the file `name` must hold, in UTF-8 without a mark. Raises BadRequest."""
    if len(content or b"") > most_bytes:
        raise BadRequest(f"{name} has more than the {most_bytes:,} bytes that are allowed")
    try:
        text = (content or b"").decode()
        value = json_of(text)
    except ValueError as error:
        raise BadRequest(f"{name} can't be read as JSON: {shorten(str(error), 200)}") from None
    if "\\" in text and any(map(_HALF.search, texts_in(value))):
        raise BadRequest(f"{name} holds half a character (a lone surrogate): write the whole one")
    if not isinstance(value, dict):
        raise BadRequest(f"{name} is not a JSON object")
    return value


def texts_in(value: object) -> Iterator[str]:
    """Every text and name in a value of JSON, however deep."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            yield from value
            left += value.values()


_TOO_DEEP = f"objects and lists lie in each other, {MAX_DEPTH} deep at most is allowed"


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{shorten(twice)!r} is given twice in one object")
    return members


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _finite(written: str) -> float:
    number = float(written)
    if math.isinf(number):
        raise ValueError(f"the number {shorten(written)} is too large")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_no_number, parse_float=_finite)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        within = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for members in within for each in members if isinstance(each, dict | list)]
    raise ValueError(_TOO_DEEP)
