"""Images with sentences in batches, and what happens to images that can't be opened."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from model.data.crops import drawn_crop
from model.data.images import ImageFiles
from model.data.records import VALIDATION_IMAGES, DataError, ManifestExamples, Record, membership, training_rows
from tests.model.conftest import tiny_processor


def with_images(directory: Path, count: int) -> list[Record]:
    for number in range(count):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(directory / f"{number}.png")
    return [Record(image=f"{n}.png", captions=(f"number {n}", "a number")) for n in range(count)]


def examples(directory: Path, records: Sequence[Record], seed: int = 0) -> ManifestExamples:
    return ManifestExamples(
        ImageFiles(directory, tiny_processor()), records, captions_per_image=2, validation_share=0.2, seed=seed
    )


def test_a_named_split_is_kept(tmp_path: Path) -> None:
    records = with_images(tmp_path, 6)
    marked = [r.model_copy(update={"split": "validation" if i == 2 else None}) for i, r in enumerate(records)]
    assert examples(tmp_path, marked).validation().rows == (2,)
    assert len(examples(tmp_path, marked)) == 5


def test_without_a_split_some_images_are_kept_back_and_never_trained_on(tmp_path: Path) -> None:
    data = examples(tmp_path, with_images(tmp_path, 60))
    kept, trained = set(data.validation().rows), {row for step in range(20) for row in data.batch(step, 8).rows}
    assert 4 < len(kept) < 20
    assert trained == set(range(60)) - kept


def test_a_caption_is_positive_for_every_image_that_has_it(tmp_path: Path) -> None:
    batch = examples(tmp_path, with_images(tmp_path, 20)).batch(0, 4)
    shared = batch.texts.index("a number")
    assert batch.positives[:, shared].tolist() == [True] * 4
    assert batch.positives.sum().item() == 8


def test_membership_marks_captions_of_other_images_too() -> None:
    assert membership([("red", "round"), ("round",)], ["round", "red"]).tolist() == [[True, True], [True, False]]


def test_texts_the_same_to_the_model_are_never_the_opposite_of_each_other(tmp_path: Path) -> None:
    assert membership([("a cat",), ("A  Cat",), ("a dog",)], ["a cat", "a dog"]).tolist() == [
        [True, False],
        [True, False],
        [False, True],
    ]
    said = ["a cat", "A Cat", "cafe\u0301", "caf\u00e9"]
    pictures = with_images(tmp_path, len(said))
    records = [each.model_copy(update={"captions": (text,)}) for each, text in zip(pictures, said, strict=True)]
    records[3] = records[3].model_copy(update={"split": "validation"})
    data = examples(tmp_path, records)
    batch = data.batch(0, 3)
    assert len(batch.texts) == 2 and batch.positives.sum().item() == 3
    assert batch.positives.sum(dim=1).tolist() == [1, 1, 1]


def test_too_little_data_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 2 and 1 are needed"):
        examples(tmp_path, with_images(tmp_path, 1))


def test_sentences_kept_for_validation_are_asked_there_and_never_trained_on(tmp_path: Path) -> None:
    held_out = [r.model_copy(update={"held_out": (f"this is {r.image}",)}) for r in with_images(tmp_path, 20)]
    data = examples(tmp_path, held_out)
    assert all(text.startswith("this is ") for text in data.validation().texts)
    assert data.validation().positives.sum(dim=1).tolist() == [1] * len(data.validation().rows)
    assert not any(text.startswith("this is ") for text in data.sentences())


def test_an_image_of_more_weight_is_shown_more_often_and_one_of_none_never(tmp_path: Path) -> None:
    weights = (0, 1, 2, 0.5, 1, 1.5)
    records = [
        record.model_copy(update={"weight": weight, "split": "train"})
        for record, weight in zip(with_images(tmp_path, 6), weights, strict=True)
    ]
    kept = [record.model_copy(update={"split": "validation", "weight": 0.0}) for record in with_images(tmp_path, 7)[6:]]
    data = examples(tmp_path, [*records, *kept])
    assert (len(data), data.validation().rows) == (5, (6,))
    shown = Counter(row for step in range(120) for row in data.batch(step, 5).rows)
    assert set(shown) == {1, 2, 3, 4, 5}
    for row, weight in enumerate(weights):
        assert shown[row] == pytest.approx(100 * weight, abs=25)


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


def test_images_are_shown_in_crops_in_training_and_whole_in_validation(tmp_path: Path) -> None:
    pictures, records = ImageFiles(tmp_path, tiny_processor()), with_images(tmp_path, 20)
    data = ManifestExamples(pictures, records, 2, 0.2, seed=3, crop_area_min=0.8)
    for step in (0, 7):
        batch = data.batch(step, 5)
        assert batch.crops == tuple(drawn_crop(3, step, row, 0.8) for row in batch.rows)
    assert data.validation().crops is None


def test_without_crops_a_batch_is_what_it_was(tmp_path: Path) -> None:
    pictures, records = ImageFiles(tmp_path, tiny_processor()), with_images(tmp_path, 20)
    whole, crops = (ManifestExamples(pictures, records, 2, 0.2, 3, area).batch(4, 6) for area in (1.0, 0.9))
    assert whole.crops is None and crops.crops is not None
    assert (whole.rows, whole.texts) == (crops.rows, crops.texts)
