import itertools
import random

import pytest

from contract.perceptual_hash import COLOURS, DIGITS, NEAR_BITS, NEAR_COLOURS, encode, near_duplicate_groups


def picture(rng: random.Random) -> tuple[int, bytes]:
    return rng.getrandbits(64), rng.randbytes(COLOURS)


def changed(seen: tuple[int, bytes], bits: int, colours: int, cell: int) -> tuple[int, bytes]:
    gradients, values = seen
    for bit in range(bits):
        gradients ^= 1 << bit * 5
    step = colours if values[cell] + colours <= 255 else -colours
    return gradients, values[:cell] + bytes([values[cell] + step]) + values[cell + 1 :]


@pytest.mark.parametrize("cell", range(0, COLOURS, 17))
def test_pictures_are_the_same_up_to_the_limits_of_both_measures_and_not_beyond(cell: int) -> None:
    rng = random.Random(cell)
    seen = picture(rng)
    others = [picture(rng) for _ in range(20)]
    for bits, colours, same in (
        (0, 0, True),
        (NEAR_BITS, NEAR_COLOURS, True),
        (NEAR_BITS + 1, 0, False),
        (0, NEAR_COLOURS + 1, False),
    ):
        hashes = [encode(*each) for each in (*others, seen, changed(seen, bits, colours, cell))]
        assert (near_duplicate_groups(hashes)[20:] == [[20, 21]]) is same


def test_what_is_sorted_into_drawers_is_what_comparing_all_with_all_finds() -> None:
    rng = random.Random(7)
    shades = [rng.randrange(0, 256, 5) for _ in range(12)]
    flat = [(0, bytes([shade]) * COLOURS) for shade in shades]
    groups = near_duplicate_groups([encode(*each) for each in flat])
    expected = groups_of_shades(shades)
    assert groups == expected and 1 < len(expected) < len(shades)


def groups_of_shades(shades: list[int]) -> list[list[int]]:
    """By the definition: shades in order, with a new group wherever the next one is too far away."""
    order = sorted(range(len(shades)), key=shades.__getitem__)
    groups = [[order[0]]]
    for before, place in itertools.pairwise(order):
        if shades[place] - shades[before] > NEAR_COLOURS:
            groups.append([])
        groups[-1].append(place)
    return sorted(map(sorted, groups))


def test_there_may_be_nothing_to_compare() -> None:
    assert near_duplicate_groups([]) == []
    assert near_duplicate_groups([encode(0, bytes(COLOURS))]) == [[0]]


def test_its_length_is_fixed() -> None:
    assert len(encode(0, bytes(COLOURS))) == len(encode(2**64 - 1, bytes([255]) * COLOURS)) == DIGITS
