import random

from hypothesis import given, settings
from hypothesis import strategies as st

from contract.splits import kept_back


def drawn(seed: int, *sizes: int) -> tuple[dict[str, float], list[list[str]]]:
    rng = random.Random(seed)
    classes = [[f"{number}/{place}" for place in range(size)] for number, size in enumerate(sizes)]
    return {name: rng.random() for names in classes for name in names}, classes


@given(st.integers(0, 10**6), st.lists(st.integers(1, 60), min_size=1, max_size=6), st.sampled_from([0.05, 0.1, 0.3]))
@settings(max_examples=60, deadline=None)
def test_of_every_class_half_to_twice_the_share_and_never_all(seed: int, sizes: list[int], share: float) -> None:
    draws, classes = drawn(seed, *sizes)
    kept = kept_back(draws, classes, share)
    assert bool(kept) == (len(draws) > 1)
    for names in classes:
        count = len(kept.intersection(names))
        if len(draws) > len(classes):  # else all are alone in their class, and one is kept back all the same
            assert count < len(names)
        assert count <= max(1, 2 * share * len(names) + 1)
        if len(names) > 1 and share * len(names) >= 0.5:
            assert count >= max(1, round(share * len(names) / 2))


def test_who_is_kept_back_stays_so_when_others_are_added() -> None:
    draws, (names,) = drawn(0, 400)
    few = names[:200]
    before = kept_back({name: draws[name] for name in few}, [few], 0.1)
    assert before == kept_back(draws, [names], 0.1).intersection(few)


def test_an_image_of_two_tasks_leaves_one_of_each_label_to_train_on() -> None:
    draws = {"1": 0.01, "2": 0.02, "3": 0.9, "4": 0.8}
    kept = kept_back(draws, [["1", "2"], ["3", "4"], ["1", "3"], ["2", "4"]], 0.5)
    assert kept and all(kept != set(pair) for pair in (("1", "2"), ("3", "4"), ("1", "3"), ("2", "4")))


def test_without_classes_the_share_is_drawn_by_number_alone() -> None:
    draws, _ = drawn(1, 300)
    assert kept_back(draws, [], 0.2) == {name for name, draw in draws.items() if draw < 0.2}
    assert kept_back({"a": 0.5, "b": 0.4}, [], 0.1) == {"b"}
    assert kept_back({"a": 0.01}, [["a"]], 0.1) == set()
