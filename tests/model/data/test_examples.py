"""Images with labels, sentences or both in batches, and what is asked of those kept back."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from model.data.batch import Batch
from model.data.class_wording import said_in_evaluation, said_in_training
from model.data.crops import drawn_crop
from model.data.examples import RETRIEVAL, ManifestExamples
from model.data.images import ImageFiles
from model.data.records import DataError, Record, membership
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


LABELS = ("cat", "dog", "cow")


def told(directory: Path, count: int, labelled: int, sentences: int, split: int = 0) -> list[Record]:
    """So many images with three classes in turn: the first ones with a label, and the last ones with three sentences of
    their own. The first `split` are for validation.
    """
    return [
        Record(
            image=record.image,
            wordings=said_in_training(LABELS[n % 3]) if n < labelled else (),
            labels={"animal": LABELS[n % 3]} if n < labelled else {},
            captions=tuple(f"number {n} said {way}" for way in "abc") if n >= count - sentences else (),
            split="validation" if n < split else "train",
        )
        for n, record in enumerate(with_images(directory, count))
    ]


def said_of(batch: Batch, row: int) -> list[str]:
    true = batch.positives[batch.rows.index(row)].tolist()
    return [text for text, is_true in zip(batch.texts, true, strict=True) if is_true]


def test_of_a_label_and_sentences_each_step_says_one_wording_and_one_of_the_images_own(tmp_path: Path) -> None:
    records = told(tmp_path, 12, labelled=12, sentences=12, split=3)
    data, heard = examples(tmp_path, records), Counter[str]()
    for step in range(60):
        batch = data.batch(step, 1)
        (row,) = batch.rows
        own = [text for text in batch.texts if text in records[row].captions]
        wordings = [text for text in batch.texts if text in records[row].wordings]
        assert (len(own), len(wordings), len(batch.texts)) == (1, 1, 2) and batch.positives.all()
        heard.update(["own", *wordings])
    assert len(heard) > 10, "always the same wording"


@pytest.mark.parametrize(("captions_per_image", "expected"), [(1, (1, 1)), (2, (1, 1)), (5, (2, 3))])
def test_however_many_are_asked_for_half_of_them_are_wordings_and_half_sentences(
    tmp_path: Path, captions_per_image: int, expected: tuple[int, int]
) -> None:
    records = told(tmp_path, 12, labelled=12, sentences=12, split=3)
    data = ManifestExamples(ImageFiles(tmp_path, tiny_processor()), records, captions_per_image, 0.2, seed=0)
    texts, (row,) = data.batch(0, 1).texts, data.batch(0, 1).rows
    assert sum(text in records[row].wordings for text in texts) == expected[0]
    assert sum(text in records[row].captions for text in texts) == expected[1]


def test_what_is_said_of_an_image_at_a_step_does_not_depend_on_the_others_in_the_batch(tmp_path: Path) -> None:
    data = examples(tmp_path, told(tmp_path, 12, labelled=12, sentences=12, split=3))
    alone, together = data.batch(0, 1), data.batch(0, 8)
    assert alone.rows[0] == together.rows[0]
    own = [text for text in together.texts if text.startswith(f"number {alone.rows[0]} ")]
    assert set(own) <= set(alone.texts) and len(own) == 1


def test_a_siblings_sentence_is_neither_true_nor_false_and_a_strangers_is_false(tmp_path: Path) -> None:
    records = told(tmp_path, 30, labelled=30, sentences=30, split=3)
    batch = examples(tmp_path, records).batch(1, 12)
    assert batch.known is not None
    for place, row in enumerate(batch.rows):
        for column, text in enumerate(batch.texts):
            known, true = bool(batch.known[place, column]), bool(batch.positives[place, column])
            speaker = next((n for n, record in enumerate(records) if text in record.captions), None)
            if speaker is None:  # a wording
                assert known and true == (text in records[row].wordings)
            elif speaker == row:
                assert known and true
            else:
                assert not true and known == (records[speaker].labels != records[row].labels)


def test_with_labels_alone_everything_is_known(tmp_path: Path) -> None:
    assert examples(tmp_path, told(tmp_path, 30, labelled=30, sentences=0, split=3)).batch(0, 9).known is None


def test_validation_asks_for_all_classes_also_those_that_no_image_kept_back_has(tmp_path: Path) -> None:
    batch = examples(tmp_path, told(tmp_path, 12, labelled=12, sentences=0, split=1)).validation()
    assert batch.texts == tuple(text for label in LABELS for text in said_in_evaluation(label))
    assert said_of(batch, 0) == list(said_in_evaluation("cat"))
    (asked,) = batch.questions
    assert (asked.name, asked.images, asked.texts, asked.decides) == ("animal", (0,), tuple(range(6)), True)


def test_labels_decide_where_there_are_some_and_sentences_where_there_are_none(tmp_path: Path) -> None:
    batch = examples(tmp_path, told(tmp_path, 12, labelled=4, sentences=9, split=6)).validation()
    asked = {(each.name, each.decides): each for each in batch.questions}
    assert {key: each.images for key, each in asked.items()} == {
        ("animal", True): (0, 1, 2, 3),
        (RETRIEVAL, True): (4, 5),
        (RETRIEVAL, False): (3, 4, 5),
    }
    sentences = [batch.texts[column] for column in asked[RETRIEVAL, True].texts]
    assert sentences == [f"number {n} said {way}" for n in (3, 4, 5) for way in "abc"]
    assert [batch.texts[column] for column in asked["animal", True].texts] == list(batch.texts[:6])


def test_without_labels_the_sentences_are_all_that_is_asked(tmp_path: Path) -> None:
    batch = examples(tmp_path, told(tmp_path, 12, labelled=0, sentences=12, split=4)).validation()
    (asked,) = batch.questions
    assert (asked.name, asked.images, asked.decides, batch.known) == (RETRIEVAL, (0, 1, 2, 3), True, None)


def test_a_siblings_sentence_is_no_mistake_in_validation(tmp_path: Path) -> None:
    batch = examples(tmp_path, told(tmp_path, 12, labelled=12, sentences=12, split=6)).validation()
    assert batch.known is not None
    column = batch.texts.index("number 3 said a")
    assert batch.known[:, column].tolist() == [False, True, True, True, True, True]  # 0 and 3 are cats


def test_images_of_one_class_alone_are_asked_for_what_is_said_of_them(tmp_path: Path) -> None:
    records = [r.model_copy(update={"labels": {"animal": "cat"}}) for r in told(tmp_path, 6, 6, 0, split=2)]
    (asked,) = examples(tmp_path, records).validation().questions
    assert (asked.name, asked.images) == (RETRIEVAL, (0, 1))
