import random
from hashlib import sha256

from contract.annotations import Annotation, Split
from contract.perceptual_hash import COLOURS, encode
from lambdas.stored.splits import assign_splits


def annotation(number: int, look: int | None = None, split: Split | None = None) -> Annotation:
    """An image that looks like all others of the same `look`, up to the noise of saving it again."""
    rng = random.Random(number if look is None else look)
    bits, colours = rng.getrandbits(64), rng.randbytes(COLOURS)
    noise = random.Random(-number)
    colours = bytes(min(255, value + noise.randrange(9)) for value in colours)
    image = sha256(str(number).encode()).hexdigest()
    return Annotation(
        id=image[:36],
        dataset="default",
        image=image,
        perceptual_hash=encode(bits ^ 1 << noise.randrange(64), colours),
        sentences=["something"],
        split=split,
        created="2026-01-01T00:00:00+00:00",
        source="api",
    )


def test_images_that_look_the_same_are_on_one_side() -> None:
    copies = [annotation(number, look=number % 100) for number in range(400)]
    splits = assign_splits(copies, 0.3)
    for look in range(100):
        assert len({splits[copy.image] for copy in copies[look::100]}) == 1
    assert len(splits) == 400
    assert 0.15 < list(splits.values()).count("validation") / 400 < 0.45


def test_a_chain_of_images_each_like_the_next_is_on_one_side() -> None:
    ends = [bytes([100 + 20 * step]) * COLOURS for step in range(5)]
    chain = [annotation(n).model_copy(update={"perceptual_hash": encode(0, c)}) for n, c in enumerate(ends)]
    others = [annotation(number) for number in range(10, 60)]
    for share in (0.2, 0.5, 0.8):
        splits = assign_splits([*chain, *others], share)
        assert len({splits[each.image] for each in chain}) == 1
        assert set(splits.values()) == {"train", "validation"}


def test_a_given_split_is_taken_over_by_all_that_look_the_same() -> None:
    given: list[Split | None] = [None, "test", None]
    splits = assign_splits([annotation(n, look=7, split=split) for n, split in enumerate(given)], 0.1)
    assert list(splits.values()) == ["test"] * 3


def test_what_is_to_be_kept_back_is_never_trained_on() -> None:
    pair = [annotation(0, look=7, split="train"), annotation(1, look=7, split="validation")]
    assert set(assign_splits(pair, 0.1).values()) == {"validation"}
    twice = [annotation(0, split="train"), annotation(0, split="test"), annotation(1)]
    assert assign_splits(twice, 0.5)[twice[0].image] == "test"


def test_nothing_is_drawn_where_validation_images_are_given() -> None:
    images = [annotation(number, split="validation" if number < 3 else None) for number in range(50)]
    splits = assign_splits(images, 0.5)
    assert list(splits.values()).count("validation") == 3
    assert list(splits.values()).count("train") == 47


def test_an_image_keeps_its_side_when_others_are_added() -> None:
    images = [annotation(number) for number in range(300)]
    few, all_of_them = assign_splits(images[:200], 0.2), assign_splits(images, 0.2)
    assert all(all_of_them[image] == split for image, split in few.items())


def test_one_image_at_least_is_kept_back_if_another_is_left() -> None:
    assert sorted(assign_splits([annotation(1), annotation(2)], 1e-9).values()) == ["train", "validation"]
    assert list(assign_splits([annotation(1)], 1e-9).values()) == ["train"]
    assert assign_splits([], 0.1) == {}
