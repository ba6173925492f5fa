"""Which images are trained on, and which are kept back."""

from collections import Counter

from model.data.records import VALIDATION_IMAGES, Record, membership, training_rows


def test_membership_marks_captions_of_other_images_too() -> None:
    assert membership([("red", "round"), ("round",)], ["round", "red"]).tolist() == [[True, True], [True, False]]


def test_what_training_is_watched_on_is_of_every_class_however_the_images_are_sorted() -> None:
    kept = [
        Record(image=f"{label}/{n}.png", captions=(label,), split="validation")
        for label in "abc"
        for n in range(VALIDATION_IMAGES)
    ]
    train = [Record(image=f"{n}.png", captions=("a",), split="train") for n in range(2)]
    _, rows = training_rows([*kept, *train], validation_share=0.1, seed=0)
    shown = Counter(kept[row].captions[0] for row in rows)
    assert len(set(rows)) == VALIDATION_IMAGES and rows == training_rows([*kept, *train], 0.1, seed=0)[1]
    assert set(shown) == set("abc") and min(shown.values()) > VALIDATION_IMAGES / 4


def test_train_and_test_alone_leave_a_share_of_train_for_validation() -> None:
    records = [Record(image=f"{n}.png", captions=("red",), split="test" if n < 50 else "train") for n in range(250)]
    train, validation = training_rows(records, validation_share=0.1, seed=0)
    assert 5 < len(validation) < 40 and len(train) + len(validation) == 200
    assert min(*train, *validation) == 50


def test_a_split_that_names_validation_is_left_as_it_is() -> None:
    records = [Record(image=f"{n}.png", captions=("red",), split="validation" if n < 3 else None) for n in range(100)]
    assert training_rows(records, validation_share=0.5, seed=0) == (list(range(3, 100)), [0, 1, 2])


def of_class(label: str, count: int, **values: object) -> list[Record]:
    labels = {"labels": {"label": label}, "wordings": (label,)}
    return [Record.model_validate({"image": f"{label}/{n}.png", **labels, **values}) for n in range(count)]


def test_of_every_class_some_are_kept_back_and_some_trained_on_however_small_it_is() -> None:
    records = [
        record for label, count in (("a", 60), ("b", 16), ("c", 5), ("d", 1)) for record in of_class(label, count)
    ]
    for seed in range(20):
        train, validation = (
            Counter(records[row].image[0] for row in rows) for rows in training_rows(records, 0.1, seed)
        )
        assert set(train) == set("abcd") and set(validation) == set("abc")
        assert 3 <= validation["a"] <= 12 and validation["b"] <= 4 and validation["c"] == 1


def test_what_is_given_to_training_stays_there_where_others_are_given_to_nothing() -> None:
    records = [*of_class("a", 200, split="train"), *of_class("b", 40), *of_class("c", 40)]
    train, validation = training_rows(records, validation_share=0.2, seed=0)
    assert set(range(200)) < set(train) and validation and min(validation) >= 200
