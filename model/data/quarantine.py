"""One look at every image before training: what can't be opened is left out and listed; too much of it is refused."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from contract.problems import ProblemError
from model.data.records import DataError, Record
from model.data.shards import in_reading_order

NAMED_FILES = 5
T = TypeVar("T")

READ_AHEAD = 4
"""Files per thread that wait in memory for their turn."""


@dataclass(frozen=True)
class Unreadable:
    """An image that was left out, why, and its record's own id, if it has one."""

    image: str
    reason: str
    id: str | None = None


def quarantine(
    directory: Path,
    records: Sequence[Record],
    see: Callable[[str, bytes], object],
    max_share: float,
    threads: int,
) -> tuple[list[Record], list[Unreadable]]:
    """Let `see` open every image once and part the records into those to train on and those to leave out.

    Raises DataError when more than `max_share` of the images can't be read.
    """
    looks = look_at_each(directory, records, see, threads)
    bad = [look for look in looks if isinstance(look, Unreadable)]
    check_share(bad, len(records), max_share)
    return [record for record, look in zip(records, looks, strict=True) if not isinstance(look, Unreadable)], bad


def look_at_each(
    directory: Path, records: Sequence[Record], see: Callable[[str, bytes], T], threads: int
) -> list[T | Unreadable]:
    """What `see` makes of each image's name and bytes, in the records' order; files are read in that of the storage."""
    by_name = {record.image: record for record in records}
    looks: dict[str, T | Unreadable] = {}
    waiting: deque[tuple[str, Future[T | Unreadable]]] = deque()

    def look(name: str, read: Callable[[], bytes]) -> T | Unreadable:
        try:
            return see(name, read())
        except (OSError, ProblemError) as error:
            return Unreadable(name, str(error), by_name[name].id)

    with ThreadPoolExecutor(threads) as pool:
        for name, read in in_reading_order(directory, by_name):
            waiting.append((name, pool.submit(look, name, read)))
            if len(waiting) > READ_AHEAD * threads:
                first, future = waiting.popleft()
                looks[first] = future.result()
        looks |= {name: future.result() for name, future in waiting}
    return [looks[record.image] for record in records]


def check_share(bad: Sequence[Unreadable], images: int, max_share: float) -> None:
    """Raises DataError, naming the first files, when more than `max_share` of the images can't be read."""
    if len(bad) > max_share * images:
        named = "; ".join(f"{one.image}: {one.reason}" for one in bad[:NAMED_FILES])
        raise DataError(
            f"{len(bad)} of {images} images can't be read, allowed is a share of {max_share:g}: repair or remove "
            f"them, or raise max_unreadable_share. The first: {named}"
        )
