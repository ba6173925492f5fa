"""The query of a route that lists something: how many, and behind what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from model.contract import BadRequest


def page_of(query: Mapping[str, Sequence[str]], most: int, *others: str) -> tuple[int, str]:
    """(limit, after) of a query; `most` is the default limit. `others` are fields that the route reads itself.

    Raises BadRequest for any other field, and for a limit that is not a number between 1 and `most`.
    """
    known_fields(query, "limit", "after", *others)
    limit = one_of(query, "limit") or str(most)
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= most and len(limit) < 9):
        raise BadRequest(f"limit is {limit[:60]!r}, allowed is a number from 1 to {most}")
    return int(limit), one_of(query, "after")


def known_fields(query: Mapping[str, Sequence[str]], *allowed: str) -> None:
    """Raises BadRequest for a field that is none of the `allowed`."""
    if unknown := [name for name in query if name not in allowed]:
        raise BadRequest(f"{', '.join(unknown)}: not a known field of the query, allowed are {', '.join(allowed)}")


def one_of(query: Mapping[str, Sequence[str]], name: str) -> str:
    """The one value of a field, or "". Raises BadRequest if it is given twice."""
    values = query.get(name, [])
    if len(values) > 1:
        raise BadRequest(f"{name} is given {len(values)} times: give it once")
    return values[0] if values else ""
