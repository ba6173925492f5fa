"""Images of this machine: found in folders, read, and put into requests."""

import base64
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from contract.layouts.places import IMAGE_SUFFIXES, Directory, is_hidden, suffix_of
from contract.limits import MAX_IMAGES, MAX_INLINE_IMAGE_BYTES, MAX_INVOCATION_BYTES
from wordsight.api import Api, CommandError

Item = TypeVar("Item")

STDIN = "-"


class Found(NamedTuple):
    """Images by their paths, in order, and how many files of the folders are no images."""

    paths: list[str]
    skipped: int


def find_images(given: Iterable[str]) -> Found:
    """Files as they are given, and below folders all that are called like images, in the order of their names.

    Raises CommandError for what is not there, or if there is no image at all.
    """
    paths: list[str] = []
    skipped = 0
    for each in given:
        folder = Path(each)
        if each == STDIN or not folder.is_dir():
            paths.append(each)
            continue
        for name in Directory(folder).names():
            if suffix_of(name) in IMAGE_SUFFIXES and not is_hidden(name):
                paths.append(str(folder / name))
            else:
                skipped += 1
    if not paths:
        there = f"{skipped:,} files, none of them called like an image" if skipped else "no file"
        raise CommandError(f"there is no image in {' or '.join(given)}: {there} ({', '.join(IMAGE_SUFFIXES)})")
    if paths.count(STDIN) > 1:
        raise CommandError(f"{STDIN} is the image of standard input, which can be read once: give it once")
    return Found(paths, skipped)


def read_image(path: str | Path, stdin: IO[bytes] | None = None) -> bytes:
    """The file's bytes, or those of standard input. Raises CommandError, also for more than the API takes."""
    if str(path) == STDIN:
        stdin = stdin or sys.stdin.buffer
        if stdin.isatty():
            raise CommandError(f"{STDIN} is an image on standard input: wordsight classify {STDIN} … < image.jpg")
        image = stdin.read(MAX_INVOCATION_BYTES + 1)
        has = f"more than {MAX_INVOCATION_BYTES:,}"
    else:
        try:
            with Path(path).open("rb") as file:
                image = file.read(MAX_INVOCATION_BYTES + 1)
                has = f"{Path(path).stat().st_size:,}"
        except (OSError, ValueError) as error:  # ValueError: a NUL in its name
            raise CommandError(f"it can't be read: {getattr(error, 'strerror', None) or error}") from None
    if not image:
        raise CommandError("it can't be read: it is empty")
    if len(image) > MAX_INVOCATION_BYTES:
        raise CommandError(f"the image has {has} bytes, at most {MAX_INVOCATION_BYTES:,} are taken: shrink it")
    return image


def image_source(api: Api, image: bytes) -> Any:
    """What stands for the image in a request. One that is too large for that is uploaded. Raises CommandError."""
    if len(image) <= MAX_INLINE_IMAGE_BYTES:
        return base64.b64encode(image).decode()
    (form,) = api.create("/uploads", {})["uploads"]
    api.upload(image, form)
    return {"s3_key": form["s3_key"]}


def image_chunks(
    images: Iterable[tuple[Item, bytes]], at_once: Iterator[int] | None = None
) -> Iterator[list[tuple[Item, bytes]]]:
    """As many together as one request may have; what is uploaded before counts as an image that is alone in it.

    `at_once` says of each request how many images it has at most.
    """
    most = next(at_once) if at_once else MAX_IMAGES
    chunk: list[tuple[Item, bytes]] = []
    size_bytes = 0
    for item, image in images:
        if chunk and (len(chunk) >= most or size_bytes + len(image) > MAX_INLINE_IMAGE_BYTES):
            yield chunk
            chunk, size_bytes = [], 0
            most = next(at_once) if at_once else MAX_IMAGES
        chunk.append((item, image))
        size_bytes += len(image)
    if chunk:
        yield chunk
