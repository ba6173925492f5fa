"""Image files in a folder or inside its tar shards, read by name; a shard is never unpacked."""

import os
import tarfile
from functools import cache
from pathlib import Path, PurePosixPath

SHARD = ".tar"


def file_bytes(directory: Path, name: str) -> bytes:
    """The bytes of `images/1.jpg`, or of `shard-0.tar/1.jpg`: the member 1.jpg of a shard. Raises OSError."""
    shard, mark, member = name.partition(SHARD + "/")
    path = directory / (shard + SHARD)
    if not mark or not path.is_file():
        return (directory / name).read_bytes()
    place = shard_index(path).get(member)
    if place is None:
        raise FileNotFoundError(f"{path.name} has no member {member!r}")
    offset, size_bytes = place
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size_bytes)


@cache
def shard_index(path: Path) -> dict[str, tuple[int, int]]:
    """Where each file of a tar begins, and its size in bytes; only the headers are read. Raises tarfile.TarError."""
    with path.open("rb") as file:
        file.seek(-min(tarfile.BLOCKSIZE, path.stat().st_size), os.SEEK_END)
        if any(file.read()):  # tarfile takes a tar that was cut off between two files for a shorter one
            raise tarfile.ReadError("the empty block that ends every tar is missing")
    with tarfile.open(path, "r:") as shard:
        files = (member for member in shard if member.isreg())
        return {PurePosixPath(file.name).as_posix(): (file.offset_data, file.size) for file in files}
