"""The new domains of the learning report."""

from pathlib import Path

import numpy as np

from benchmarks.learning.domains import (
    PICTOGRAMS,
    digits,
    drawn_pictograms,
    more_pictograms,
    pictogram,
    pictograms,
    write_domain,
    write_told_pictograms,
)
from model.data.readers import read_dataset
from model.world.scene import SHAPES, THINGS


def test_the_digits_are_1200_to_train_on_and_597_others_of_every_class() -> None:
    train, test = (list(images) for images in digits())
    assert (len(train), len(test)) == (1200, 597)
    assert len({label for _, label in train}) == len({label for _, label in test}) == 10
    pixels = {split: {image.tobytes() for image, _ in images} for split, images in (("train", train), ("test", test))}
    assert not pixels["train"] & pixels["test"]


def test_a_pictogram_is_a_function_of_seed_and_index() -> None:
    (first, name), (again, _), (other, _) = pictogram(0, 3), pictogram(0, 3), pictogram(1, 3)
    assert name == list(PICTOGRAMS)[3]
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_more_pictograms_to_be_taught_by_are_others_than_those_to_test_or_to_train_on() -> None:
    first, test = (next(images) for images in more_pictograms())
    trained, asked = (next(images) for images in pictograms())
    assert test[0].tobytes() == asked[0].tobytes() and first[1] == trained[1] == test[1]
    assert len({image.tobytes() for image, _ in (first, trained, asked)}) == 3


def test_every_seed_draws_other_images_to_train_on() -> None:
    drawn = [next(drawn_pictograms(1, seed)[0])[0].tobytes() for seed in range(3)]
    others = [next(images)[0].tobytes() for images in (*pictograms(), more_pictograms()[0])]
    assert len({*drawn, *others}) == 6
    scans = [{image.tobytes() for image, _ in digits(seed)[0]} for seed in (0, 1)]
    assert scans[0] != scans[1]


def test_told_pictograms_have_a_label_and_sentences_that_do_not_name_it(tmp_path: Path) -> None:
    write_told_pictograms(2, 0, tmp_path)
    train, test = (read_dataset(tmp_path / split).records for split in ("train", "test"))
    assert len(train) == 20 and len(test) == 300
    for record in (*train, *test):
        (label,) = record.labels.values()
        assert len(set(record.captions)) == 3 and not any(label in said.split() for said in record.captions)
        assert len(record.wordings) == 12
    assert not {said for r in train for said in r.captions} & {said for r in test for said in r.captions}


def test_the_world_has_none_of_the_pictograms() -> None:
    assert not {*PICTOGRAMS} & {*SHAPES, *THINGS}


def test_every_pictogram_is_drawn_in_ink_and_within_its_paper() -> None:
    for index in range(len(PICTOGRAMS)):
        pixels = np.asarray(pictogram(0, index)[0])
        inked = (pixels != pixels[0, 0]).any(axis=2)
        assert 0.02 < inked.mean() < 0.4


def test_a_domain_is_a_dataset_of_the_training_program_and_is_drawn_once(tmp_path: Path) -> None:
    write_domain("pictograms", tmp_path)
    found = read_dataset(tmp_path / "train")
    assert found.layout == "a folder per class" and len(found.records) == 500
    assert "a photo of an umbrella" in next(r.wordings for r in found.records if r.image.startswith("umbrella"))
    marked = tmp_path / "train" / "key" / "2.png"
    marked.write_bytes(b"kept")
    write_domain("pictograms", tmp_path)
    assert marked.read_bytes() == b"kept"
