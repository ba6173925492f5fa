"""Image files in a folder or inside its tar shards, read by name; a shard is never unpacked."""

import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path, PurePosixPath

SHARD = ".tar"


def file_bytes(directory: Path, name: str) -> bytes:
    """The bytes of `images/1.jpg`, or of `shard-0.tar/1.jpg`: the member 1.jpg of a shard. Raises OSError."""
    path, member = _whereabouts(directory, name)
    if member is None:
        return path.read_bytes()
    if member not in shard_index(path):
        raise FileNotFoundError(f"{path.name} has no member {member!r}")
    return next(data for _, data in members_bytes(path, [member]))


def in_reading_order(directory: Path, names: Iterable[str]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Each name with what reads its bytes, like `file_bytes`. What lies in shards comes last and is already in memory:
    a shard is read once from front to back, as storage behind a network wants it.
    """
    by_shard: dict[Path, dict[str, str]] = {}
    for name in names:
        path, member = _whereabouts(directory, name)
        if member is not None and _holds(path, member):
            by_shard.setdefault(path, {})[member] = name
        else:
            yield name, partial(file_bytes, directory, name)
    for path, wanted in by_shard.items():
        for member, data in members_bytes(path, list(wanted)):
            yield wanted[member], partial(bytes, data)


def members_bytes(path: Path, members: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Members of a shard in the order in which they lie there. Raises OSError, and KeyError for one that is absent."""
    index = shard_index(path)
    with path.open("rb") as file:
        for member in sorted(members, key=lambda member: index[member]):
            offset, size_bytes = index[member]
            file.seek(offset)
            yield member, file.read(size_bytes)


def _holds(path: Path, member: str) -> bool:
    """Whether a shard has a member; one that can't be read has none."""
    try:
        return member in shard_index(path)
    except OSError:
        return False


def _whereabouts(directory: Path, name: str) -> tuple[Path, str | None]:
    """The file that holds a name, and which of its members it is if that is a shard."""
    shard, mark, member = name.partition(SHARD + "/")
    path = directory / (shard + SHARD)
    return (path, member) if mark and path.is_file() else (directory / name, None)


@cache
def shard_index(path: Path) -> dict[str, tuple[int, int]]:
    """Where each file of a tar begins, and its size in bytes; only the headers are read. Raises OSError."""
    try:
        with path.open("rb") as file:
            file.seek(-min(tarfile.BLOCKSIZE, path.stat().st_size), os.SEEK_END)
            if any(file.read()):  # tarfile takes a tar that was cut off between two files for a shorter one
                raise tarfile.ReadError("the empty block that ends every tar is missing")
        with tarfile.open(path, "r:") as shard:
            files = (member for member in shard if member.isreg())
            return {PurePosixPath(file.name).as_posix(): (file.offset_data, file.size) for file in files}
    except tarfile.TarError as error:
        raise OSError(f"{path.name} is no tar shard, or cut off: {error}") from None
