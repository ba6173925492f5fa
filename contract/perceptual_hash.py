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

NEAR_SHARE = 0.25
"""Of what an image's cells vary by, squared: grey surfaces of one kind are as grey as each other in every cell, and not
lighter and darker in the same places. Of 150 such textures saved as 70 or 40 % JPEG none differs by more than .13 of
it, of 79,800 pairs of different ones none by less than 1.2."""
NEAR_NOISE = 1
"""Of 255², in the mean over the cells: what rounding and compression leave of an image of one colour."""

PATTERN = f"[0-9a-f]{{{DIGITS}}}"

_AXES = 3
"""Colours by which images are hashed into buckets, so that only those of neighbouring buckets are compared."""


def encode(gradients: int, colours: bytes) -> str:
    """The hash of 64 bits of gradients and one byte for every colour of every cell."""
    return f"{gradients:0{GRADIENT_DIGITS}x}{colours.hex()}"


def near_duplicate_groups(hashes: Sequence[str]) -> list[list[int]]:
    """Indices of near duplicates, each in one group: all in a group are near duplicates of its first one.

    Who is like the second of a group but not like the first is not in it: chains of images, each like the next, would
    join what is not alike at all (leader clustering, Hartigan 1975). The order of the hashes decides, so images that
    come later change no group of earlier ones.
    """
    gradients = [int(each[:GRADIENT_DIGITS], 16) for each in hashes]
    colours = [bytes.fromhex(each[GRADIENT_DIGITS:]) for each in hashes]
    bucket_of = _bucketing(colours)
    leaders: dict[tuple[int, ...], list[int]] = {}
    groups: dict[int, list[int]] = {}
    for later, (bits, seen) in enumerate(zip(gradients, colours, strict=True)):
        bucket = bucket_of(seen)
        near = (
            leader
            for step in product((-1, 0, 1), repeat=len(bucket))
            for leader in leaders.get(tuple(map(sum, zip(bucket, step, strict=True))), ())
            if (bits ^ gradients[leader]).bit_count() <= NEAR_BITS and _near(seen, colours[leader])
        )
        leader = min(near, default=later)
        groups.setdefault(leader, []).append(later)
        if leader == later:
            leaders.setdefault(bucket, []).append(later)
    return list(groups.values())


def _near(seen: bytes, other: bytes) -> bool:
    """Whether two images have about the same colours in the same places."""
    if any(abs(a - b) > NEAR_COLOURS for a, b in zip(seen, other, strict=True)):
        return False
    difference = sum((a - b) ** 2 for a, b in zip(seen, other, strict=True))
    return difference <= NEAR_NOISE * COLOURS or difference <= NEAR_SHARE * min(_spread(seen), _spread(other))


def _spread(seen: bytes) -> float:
    """How far the cells' colours are from their mean, squared and summed up."""
    total = 0.0
    for channel in (seen[start::3] for start in range(3)):
        mean = sum(channel) / len(channel)
        total += sum((value - mean) ** 2 for value in channel)
    return total


def _bucketing(colours: Sequence[bytes]) -> Callable[[bytes], tuple[int, ...]]:
    """From an image's colours to its bucket, by the colours that differ most among the images.

    A bucket is one more than NEAR_COLOURS wide, so near duplicates lie in the same one or in neighbours.
    """
    sums = [sum(column) for column in zip(*colours, strict=True)]
    squares = [sum(value * value for value in column) for column in zip(*colours, strict=True)]
    spread = [square - total * total / len(colours) for total, square in zip(sums, squares, strict=True)]
    axes = sorted(range(len(spread)), key=spread.__getitem__, reverse=True)[:_AXES]
    return lambda seen: tuple(seen[axis] // (NEAR_COLOURS + 1) for axis in axes)
