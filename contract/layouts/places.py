"""Where a dataset lies: names of files below a folder, and their bytes."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif",
)  # fmt: skip
"""By which a file is known as an image where nothing else names it."""
SHARD_SUFFIX = ".tar"
MAX_LINE_BYTES = 1_000_000
"""Of a line so much is read, and then it is refused."""
MAX_TEXT_FILE_BYTES = 4_000_000
_READ_BYTES = 1 << 20

_OF_SYSTEMS = frozenset(
    {"__macosx", "@eadir", "thumbs.db", "desktop.ini", "ehthumbs.db", "$recycle.bin", "lost+found", "icon\r"}
    | {"system volume information", "#recycle", "__pycache__"}
)


class Line(NamedTuple):
    """A line of a file with its end: its number from 1, its content, and where the next one begins."""

    number: int
    content: bytes
    end_bytes: int


class Place(Protocol):
    """A folder somewhere. Names are paths below it, with slashes between their parts."""

    def names(self, after: str = "") -> Iterator[str]:
        """All files, however deep, in the order of their names' characters, those behind `after`."""

    def lines(self, name: str, after_line: int = 0, offset_bytes: int = 0) -> Iterator[Line]:
        """A file's lines that are not blank, behind the line that ends at `offset_bytes`. Raises OSError."""

    def read(self, name: str) -> bytes:
        """A small file's bytes, at most MAX_TEXT_FILE_BYTES + 1. Raises OSError."""

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""

    def address(self, address: str) -> str | None:
        """The name of what has an s3:// address, or a key of a bucket; None if that can't lie here."""

    def shard(self, name: str) -> "Place":
        """The files in a tar as a place. Raises OSError."""


class Directory:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self, after: str = "") -> Iterator[str]:
        """Links to folders are followed, but never in a circle."""
        found = sorted(_files_below(self.root, "", frozenset()))
        return (name for name in found if name > after)

    def lines(self, name: str, after_line: int = 0, offset_bytes: int = 0) -> Iterator[Line]:
        with (self.root / name).open("rb") as file:
            file.seek(offset_bytes)
            yield from split_lines(iter(lambda: file.read(_READ_BYTES), b""), after_line, offset_bytes)

    def read(self, name: str) -> bytes:
        with (self.root / name).open("rb") as file:
            return file.read(MAX_TEXT_FILE_BYTES + 1)

    def exists(self, name: str) -> bool:
        """A name too long for the file system is no file; `Path.is_file` raises."""
        try:
            return (self.root / name).is_file()
        except (OSError, ValueError):
            return False

    def address(self, address: str) -> str | None:
        """The longest ending of the address that exists here, or else all of it behind the bucket."""
        parts = PurePosixPath(bucket_and_key(address)[1]).parts
        if not parts or ".." in parts:
            return None
        endings = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((ending for ending in endings if self.exists(ending)), "/".join(parts).lstrip("/"))

    def shard(self, name: str) -> Place:
        raise OSError("tar shards are read by training alone: unpack them into a folder")


def bucket_and_key(address: str) -> tuple[str, str]:
    """The two parts of an s3:// address; of a key alone the bucket is ""."""
    if not address.startswith("s3://"):
        return "", address
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


def split_lines(chunks: Iterable[bytes], after_line: int = 0, offset_bytes: int = 0) -> Iterator[Line]:
    """The lines that are not blank; a line ends at a line feed and at nothing else, for JSON and cells of a table may
    hold every other line end. Of a line longer than MAX_LINE_BYTES only the beginning is in its content.
    """
    number, held, dropped = after_line, bytearray(), 0
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            held += piece
            number, offset_bytes = number + 1, offset_bytes + len(held) + dropped + 1
            if held.strip():
                yield Line(number, bytes(held[: MAX_LINE_BYTES + 1]) + b"\n", offset_bytes)
            held, dropped = bytearray(), 0
        held += rest
        if len(held) > MAX_LINE_BYTES + 1:
            dropped += len(held) - MAX_LINE_BYTES - 1
            del held[MAX_LINE_BYTES + 1 :]
    if held.strip():
        yield Line(number + 1, bytes(held), offset_bytes + len(held) + dropped)


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder above it, is hidden (`.git`, `._1.jpg`) or what systems put beside files."""
    return any(part.startswith(".") or part.casefold() in _OF_SYSTEMS for part in name.split("/"))


def suffix_of(name: str) -> str:
    """`.jpg` of `cat/1.JPG`"""
    file = name.rpartition("/")[2]
    stem, mark, suffix = file.rpartition(".")
    return f".{suffix.lower()}" if mark and stem else ""


def shown(name: str) -> str:
    """A name as it can be printed: bytes of a file's name that are no UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def _files_below(folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """A folder that can't be listed is itself among the names, so that it is counted."""
    try:
        here = above | {_identity(folder.stat())}
        entries = list(os.scandir(folder))
    except OSError:
        yield from [prefix.rstrip("/")] if prefix else []
        return
    for entry in entries:
        try:
            is_folder = entry.is_dir()
            is_above = is_folder and entry.is_symlink() and _identity(entry.stat()) in here
            is_file = entry.is_file() or entry.is_symlink()
        except OSError:  # a link to itself
            is_folder, is_above, is_file = False, False, True
        if is_folder and not is_above:
            yield from _files_below(Path(entry.path), f"{prefix}{entry.name}/", here)
        elif is_file and not is_folder:  # a pipe would be waited for
            yield prefix + entry.name


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
