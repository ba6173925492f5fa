"""Images in packs that one invocation of the endpoint takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from model.contract import MAX_IMAGES, MAX_INVOCATION_BYTES, ProblemError

Item = TypeVar("Item")


def packs(
    pairs: Iterable[tuple[Item, bytes | ProblemError]], max_images: int = MAX_IMAGES
) -> Iterator[list[tuple[Item, bytes | ProblemError]]]:
    """The pairs in their order, each item beside its image or the problem it has, as many together as may be sent."""
    pack: list[tuple[Item, bytes | ProblemError]] = []
    size_bytes = 0
    for item, image in pairs:
        image_bytes = len(image) if isinstance(image, bytes) else 0
        if len(pack) == max_images or (pack and size_bytes + image_bytes > MAX_INVOCATION_BYTES):
            yield pack
            pack, size_bytes = [], 0
        pack.append((item, image))
        size_bytes += image_bytes
    if pack:
        yield pack
