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


def striped(shade: int, contrast: int = 100) -> str:
    """Stripes that reach from a shade to one that is so much lighter."""
    return encode(0, bytes(shade + contrast * (place // 3 % 2) for place in range(COLOURS)))


def test_a_group_is_what_is_like_its_first_however_images_are_sorted_into_drawers() -> None:
    rng = random.Random(7)
    shades = [rng.randrange(0, 150) for _ in range(60)]
    groups = near_duplicate_groups([striped(shade) for shade in shades])
    assert groups == groups_of_shades(shades) and 2 < len(groups) < 20
    assert all(abs(shades[place] - shades[group[0]]) <= NEAR_COLOURS for group in groups for place in group)


def groups_of_shades(shades: list[int]) -> list[list[int]]:
    """By the definition: whoever is not like the first of an earlier group begins one."""
    groups: list[list[int]] = []
    for place, shade in enumerate(shades):
        near = [group for group in groups if abs(shade - shades[group[0]]) <= NEAR_COLOURS]
        if not near:
            near = [[]]
            groups += near
        near[0].append(place)
    return groups


def test_images_that_come_later_change_no_group() -> None:
    shades = [random.Random(1).randrange(0, 150) for _ in range(40)]
    few, more = (near_duplicate_groups([striped(shade) for shade in some]) for some in (shades[:20], shades))
    assert [[place for place in group if place < 20] for group in more][: len(few)] == few


@pytest.mark.parametrize(("contrast", "same"), [(0, False), (20, False), (100, True)])
def test_the_less_contrast_there_is_the_nearer_images_have_to_be(contrast: int, same: bool) -> None:
    groups = near_duplicate_groups([striped(40, contrast), striped(60, contrast)])
    assert (groups == [[0, 1]]) is same
    assert near_duplicate_groups([striped(40, contrast), striped(41, contrast)]) == [[0, 1]]


def test_there_may_be_nothing_to_compare() -> None:
    assert near_duplicate_groups([]) == []
    assert near_duplicate_groups([encode(0, bytes(COLOURS))]) == [[0]]


def test_its_length_is_fixed() -> None:
    assert len(encode(0, bytes(COLOURS))) == len(encode(2**64 - 1, bytes([255]) * COLOURS)) == DIGITS
