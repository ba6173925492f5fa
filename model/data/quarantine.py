"""Quarantine: images that can't be opened are left out of training and listed; a dataset with too many is refused."""

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
    directory: Path, records: Sequence[Record], use: Callable[[str, bytes], object], max_share: float, threads: int
) -> tuple[list[Record], list[Unreadable]]:
    """Let `use` open every image once and part the records into those to train on and those to leave out.

    Raises DataError when more than `max_share` of the images can't be read.
    """
    results = read_each(directory, records, use, threads)
    bad = [result for result in results if isinstance(result, Unreadable)]
    check_share(bad, len(records), max_share)
    return [record for record, result in zip(records, results, strict=True) if not isinstance(result, Unreadable)], bad


def read_each(
    directory: Path, records: Sequence[Record], use: Callable[[str, bytes], T], threads: int
) -> list[T | Unreadable]:
    """What `use` makes of each image's name and bytes, in the records' order; files are read in that of the storage."""
    by_name = {record.image: record for record in records}
    results: dict[str, T | Unreadable] = {}
    waiting: deque[tuple[str, Future[T | Unreadable]]] = deque()

    def read_one(name: str, read: Callable[[], bytes]) -> T | Unreadable:
        try:
            return use(name, read())
        except (OSError, ProblemError) as error:
            return Unreadable(name, str(error), by_name[name].id)

    with ThreadPoolExecutor(threads) as pool:
        for name, read in in_reading_order(directory, by_name):
            waiting.append((name, pool.submit(read_one, name, read)))
            if len(waiting) > READ_AHEAD * threads:
                first, future = waiting.popleft()
                results[first] = future.result()
        results |= {name: future.result() for name, future in waiting}
    return [results[record.image] for record in records]


def check_share(bad: Sequence[Unreadable], images: int, max_share: float) -> None:
    """Raises DataError, naming the first files, when more than `max_share` of the images can't be read."""
    if len(bad) > max_share * images:
        named = "; ".join(f"{one.image}: {one.reason}" for one in bad[:NAMED_FILES])
        raise DataError(
            f"{len(bad)} of {images} images can't be read, allowed is a share of {max_share:g}: repair or remove "
            f"them, or raise max_unreadable_share. The first: {named}"
        )
