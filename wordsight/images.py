"""Image files on their way to the API: as base64 where they fit into a request, else uploaded before."""

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from contract.limits import MAX_IMAGES, MAX_INLINE_IMAGE_BYTES, MAX_INVOCATION_BYTES
from wordsight.api import Api, CommandError

Item = TypeVar("Item")


def read(path: Path) -> bytes:
    """The file's bytes. Raises CommandError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}") from None


def source(api: Api, image: bytes) -> Any:
    """What stands for the image in a request. One that is too large for that is uploaded. Raises CommandError."""
    if len(image) <= MAX_INLINE_IMAGE_BYTES:
        return base64.b64encode(image).decode()
    if len(image) > MAX_INVOCATION_BYTES:
        raise CommandError(f"the image has {len(image):,} bytes, at most {MAX_INVOCATION_BYTES:,} are taken: shrink it")
    (form,) = api.create("/uploads", {})["uploads"]
    api.upload(image, form)
    return {"s3_key": form["s3_key"]}


def chunks(images: Iterable[tuple[Item, bytes]]) -> Iterator[list[tuple[Item, bytes]]]:
    """As many together as one request may have; what is uploaded before counts as an image that is alone in it."""
    chunk: list[tuple[Item, bytes]] = []
    size_bytes = 0
    for item, image in images:
        if chunk and (len(chunk) == MAX_IMAGES or size_bytes + len(image) > MAX_INLINE_IMAGE_BYTES):
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append((item, image))
        size_bytes += len(image)
    if chunk:
        yield chunk
