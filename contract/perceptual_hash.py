"""A picture as it is seen from very far, as text: pictures whose texts are near show the same.

16 hex digits of gradients (dHash: whether brightness falls from cell to cell of an 8 x 8 grid), then 384 of colours
(the RGB of every cell). Gradients alone would not do: of the pairs of different rendered drawings 14 % agree in them,
since flat colour has none; with the colours none of 79,800 does. `model.clip.perceptual_hash` computes it.
"""

from __future__ import annotations

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
"""Colours by which pictures are sorted into drawers, so that only those of neighbouring drawers are compared."""


def encode(gradients: int, colours: bytes) -> str:
    """The text for 64 bits of gradients and one byte for every colour of every cell."""
    return f"{gradients:0{GRADIENT_DIGITS}x}{colours.hex()}"


def look_alikes(hashes: Sequence[str]) -> list[list[int]]:
    """The places of pictures that look the same, or are joined by a chain of such: each place is in one group."""
    gradients = [int(each[:GRADIENT_DIGITS], 16) for each in hashes]
    colours = [bytes.fromhex(each[GRADIENT_DIGITS:]) for each in hashes]
    drawer_of = _drawers(colours)
    drawers: dict[tuple[int, ...], list[int]] = {}
    groups = [[place] for place in range(len(hashes))]
    for later, (bits, seen) in enumerate(zip(gradients, colours, strict=True)):
        drawer = drawer_of(seen)
        for step in product((-1, 0, 1), repeat=len(drawer)):
            for earlier in drawers.get(tuple(map(sum, zip(drawer, step, strict=True))), ()):
                if groups[later] is groups[earlier]:  # of a thousand pictures of one scene, most need no comparison
                    continue
                if (bits ^ gradients[earlier]).bit_count() <= NEAR_BITS and _near(seen, colours[earlier]):
                    _join(groups, earlier, later)
        drawers.setdefault(drawer, []).append(later)
    return [sorted(group) for group in {id(group): group for group in groups}.values()]


def _join(groups: list[list[int]], one: int, other: int) -> None:
    """Let all places of the smaller group share the list of the larger one."""
    small, large = sorted((groups[one], groups[other]), key=len)
    large.extend(small)
    for place in small:
        groups[place] = large


def _near(one: bytes, other: bytes) -> bool:
    return all(abs(a - b) <= NEAR_COLOURS for a, b in zip(one, other, strict=True))


def _drawers(colours: Sequence[bytes]) -> Callable[[bytes], tuple[int, ...]]:
    """From a picture to its drawer, by the colours that differ most among the pictures.

    A drawer is one more than NEAR_COLOURS wide, so pictures that are near lie in the same one or in neighbours.
    """
    sums = [sum(column) for column in zip(*colours, strict=True)]
    squares = [sum(value * value for value in column) for column in zip(*colours, strict=True)]
    spread = [square - total * total / len(colours) for total, square in zip(sums, squares, strict=True)]
    axes = sorted(range(len(spread)), key=spread.__getitem__, reverse=True)[:_AXES]
    return lambda seen: tuple(seen[axis] // (NEAR_COLOURS + 1) for axis in axes)
