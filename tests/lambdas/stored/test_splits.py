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
    splits = assign_splits(copies, 0.3).splits
    for look in range(100):
        assert len({splits[copy.image] for copy in copies[look::100]}) == 1
    assert len(splits) == 400
    assert 0.15 < list(splits.values()).count("validation") / 400 < 0.45


def with_hash(number: int, gradients: int, colours: bytes, split: Split | None = None) -> Annotation:
    return annotation(number, split=split).model_copy(update={"perceptual_hash": encode(gradients, colours)})


def test_images_of_a_chain_are_no_group_and_none_takes_over_the_split_of_its_far_end() -> None:
    """Each is like the next in brightness, and the ends are not alike at all."""
    steps = [bytes((40 * (cell % 2) + 12 * step + 60) for cell in range(COLOURS)) for step in range(12)]
    chain = [with_hash(n, 0, colours, "test" if n == 0 else None) for n, colours in enumerate(steps)]
    chain = [each.model_copy(update={"created": f"2026-01-01T00:00:{n:02}"}) for n, each in enumerate(chain)]
    splits = assign_splits([*chain, annotation(99, split="validation")], 0.1).splits
    assert [splits[each.image] for each in chain][:1] == ["test"]
    assert [splits[each.image] for each in chain][3:] == ["train"] * 9


def test_grey_surfaces_of_one_kind_are_different_images() -> None:
    rng = random.Random(0)
    surfaces = [bytes(120 + rng.randrange(9) for _ in range(COLOURS // 3) for _ in range(3)) for _ in range(60)]
    images = [with_hash(n, 0, each, "test" if n < 20 else None) for n, each in enumerate(surfaces)]
    splits = list(assign_splits(images, 0.2).splits.values())
    assert splits.count("test") == 20 and splits.count("train") > 20


def test_a_given_split_is_taken_over_by_all_that_look_the_same_and_have_none() -> None:
    given: list[Split | None] = [None, "test", None]
    assigned = assign_splits([annotation(n, look=7, split=split) for n, split in enumerate(given)], 0.1)
    assert list(assigned.splits.values()) == ["test"] * 3 and assigned.leaking == 0


def test_what_was_given_to_training_stays_there_and_what_leaks_by_it_is_counted() -> None:
    pair = [annotation(0, look=7, split="train"), annotation(1, look=7, split="validation")]
    assigned = assign_splits([*pair, annotation(2, look=7), annotation(3, split="train")], 0.1)
    assert [assigned.splits[each.image] for each in pair] == ["train", "validation"]
    assert assigned.splits[annotation(2).image] == "validation"
    assert (assigned.leaking, assigned.contradicting) == (1, 0)


def test_what_is_to_be_kept_back_is_never_trained_on() -> None:
    twice = [annotation(0, split="train"), annotation(0, split="test"), annotation(1)]
    assigned = assign_splits(twice, 0.5)
    assert assigned.splits[twice[0].image] == "test" and assigned.contradicting == 1


def labelled(counts: dict[str, int]) -> list[Annotation]:
    names = [label for label, count in counts.items() for _ in range(count)]
    return [annotation(n).model_copy(update={"label": label, "task": "kind"}) for n, label in enumerate(names)]


def test_of_every_label_some_are_kept_back_and_some_are_left_to_train_on() -> None:
    counts = {"a": 50, "b": 5, "c": 2, "d": 1, "e": 200}
    images = labelled(counts)
    splits = assign_splits(images, 0.1).splits
    kept = {label: sum(splits[i.image] == "validation" for i in images if i.label == label) for label in counts}
    assert 3 <= kept["a"] <= 10 and 1 <= kept["b"] <= 2 and kept["c"] <= 1 and kept["d"] == 0
    assert 10 <= kept["e"] <= 40


def test_nothing_is_drawn_where_validation_images_are_given() -> None:
    images = [annotation(number, split="validation" if number < 3 else None) for number in range(50)]
    splits = assign_splits(images, 0.5).splits
    assert list(splits.values()).count("validation") == 3
    assert list(splits.values()).count("train") == 47


def test_an_image_keeps_its_side_when_others_are_added() -> None:
    images = [annotation(number) for number in range(300)]
    few, all_of_them = assign_splits(images[:200], 0.2).splits, assign_splits(images, 0.2).splits
    assert all(all_of_them[image] == split for image, split in few.items())


def test_one_image_at_least_is_kept_back_if_another_is_left() -> None:
    assert sorted(assign_splits([annotation(1), annotation(2)], 1e-9).splits.values()) == ["train", "validation"]
    assert list(assign_splits([annotation(1)], 1e-9).splits.values()) == ["train"]
    assert assign_splits([], 0.1).splits == {}
