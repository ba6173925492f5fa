"""Perceptual hash: an image on an 8 x 8 grid, as text. Images whose hashes are near are near duplicates.

16 hex digits of gradients (dHash: whether brightness falls from cell to cell of an 8 x 8 grid), then 384 of colours
(the RGB of every cell). Gradients alone would not do: of the pairs of different rendered drawings 14 % agree in them,
since flat colour has none; with the colours none of 79,800 does. `model.clip.perceptual_hash` computes it.
"""

from collections.abc import Callable, Sequence
from itertools import product

SIDE = 8
"""Cells of the grid in each direction."""
COLOURS = SIDE * SIDE * 3
GRADIENT_DIGITS = SIDE * SIDE // 4
DIGITS = GRADIENT_DIGITS + 2 * COLOURS

NEAR_BITS = 12
"""Of 64."""
NEAR_COLOURS = 24
"""Of 255, in the most different cell. Of 400 rendered images saved as 70 % JPEG 395 stay below it, of 562,500 pairs of
different ones none."""

PATTERN = f"[0-9a-f]{{{DIGITS}}}"

_AXES = 3
"""Colours by which images are hashed into buckets, so that only those of neighbouring buckets are compared."""


def encode(gradients: int, colours: bytes) -> str:
    """The hash of 64 bits of gradients and one byte for every colour of every cell."""
    return f"{gradients:0{GRADIENT_DIGITS}x}{colours.hex()}"


def near_duplicate_groups(hashes: Sequence[str]) -> list[list[int]]:
    """Indices of near duplicates, or of images that a chain of near duplicates joins: each index is in one group."""
    gradients = [int(each[:GRADIENT_DIGITS], 16) for each in hashes]
    colours = [bytes.fromhex(each[GRADIENT_DIGITS:]) for each in hashes]
    bucket_of = _bucketing(colours)
    buckets: dict[tuple[int, ...], list[int]] = {}
    groups = [[index] for index in range(len(hashes))]
    for later, (bits, seen) in enumerate(zip(gradients, colours, strict=True)):
        bucket = bucket_of(seen)
        for step in product((-1, 0, 1), repeat=len(bucket)):
            for earlier in buckets.get(tuple(map(sum, zip(bucket, step, strict=True))), ()):
                # of a thousand images of one scene, most are joined already and need no comparison
                if groups[later] is groups[earlier] or (bits ^ gradients[earlier]).bit_count() > NEAR_BITS:
                    continue
                if all(abs(a - b) <= NEAR_COLOURS for a, b in zip(seen, colours[earlier], strict=True)):
                    small, large = sorted((groups[earlier], groups[later]), key=len)
                    large.extend(small)
                    for index in small:
                        groups[index] = large
        buckets.setdefault(bucket, []).append(later)
    return [sorted(group) for group in {id(group): group for group in groups}.values()]


def _bucketing(colours: Sequence[bytes]) -> Callable[[bytes], tuple[int, ...]]:
    """From an image's colours to its bucket, by the colours that differ most among the images.

    A bucket is one more than NEAR_COLOURS wide, so near duplicates lie in the same one or in neighbours.
    """
    sums = [sum(column) for column in zip(*colours, strict=True)]
    squares = [sum(value * value for value in column) for column in zip(*colours, strict=True)]
    spread = [square - total * total / len(colours) for total, square in zip(sums, squares, strict=True)]
    axes = sorted(range(len(spread)), key=spread.__getitem__, reverse=True)[:_AXES]
    return lambda seen: tuple(seen[axis] // (NEAR_COLOURS + 1) for axis in axes)
