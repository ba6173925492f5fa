"""JSON files that strangers wrote: read strictly, so that whatever they hold ends as an object or as a sentence."""

import json
import math
from typing import Any

from contract.problems import BadRequest, shorten

MAX_FILE_BYTES = 8 * 1024 * 1024
"""What is read of a file: a wordsight.json has some ten kilobytes, CLIP's tokenizer.json two megabytes."""
MAX_DEPTH = 32
"""Of objects and lists in each other; a tokenizer.json has 6."""


def object_of(name: str, content: bytes | None) -> dict[str, Any]:
    """The JSON object that the file `name` must hold, as RFC 8259 has it: UTF-8 without a mark, each name once, and
    numbers that are finite. Raises BadRequest.
    """
    if len(content or b"") > MAX_FILE_BYTES:
        raise BadRequest(f"{name} has more than the {MAX_FILE_BYTES:,} bytes that are allowed")
    try:
        parsed = json.loads((content or b"").decode(), object_pairs_hook=_each_once, parse_constant=_no_number)
        _check(parsed)
    except RecursionError:
        raise BadRequest(f"{name} can't be read as JSON: {_TOO_DEEP}") from None
    except ValueError as error:
        raise BadRequest(f"{name} can't be read as JSON: {shorten(str(error), 200)}") from None
    if not isinstance(parsed, dict):
        raise BadRequest(f"{name} is not a JSON object")
    return parsed


_TOO_DEEP = f"objects and lists lie in each other, {MAX_DEPTH} deep at most is allowed"


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{shorten(twice)!r} is given twice")
    return found


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _check(parsed: Any) -> None:
    level = [parsed]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError("a number is too large")
            if isinstance(value, str):
                value.encode()  # a surrogate alone is no text
            elif isinstance(value, dict):
                below += value
                below += value.values()
            elif isinstance(value, list):
                below += value
        if not (level := below):
            return
    raise ValueError(_TOO_DEEP)
