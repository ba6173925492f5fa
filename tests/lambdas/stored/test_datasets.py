"""What a training would find in a dataset, and what the gate could make of it."""

from hashlib import sha256

import pytest

from contract.annotations import Annotation
from contract.hyperparameters import Hyperparameters
from contract.perceptual_hash import DIGITS
from lambdas.stored.datasets import FEW_IMAGES, Findings, hopeless, needed_images, scarce, survey, unlearnable

HUMBLE = Hyperparameters()


def say(image: str, *sentences: str, label: str | None = None, task: str | None = None, split: str = "") -> Annotation:
    digest = sha256(image.encode()).hexdigest()
    return Annotation.model_validate(
        {
            **{"id": "0" * 36, "dataset": "welds", "image": digest, "perceptual_hash": (7 * digest)[:DIGITS]},
            **{"created": "", "source": "api", "sentences": sentences, "label": label, "task": task},
            "split": split or None,
        }
    )


def labelled(**counts: int) -> Findings:
    """So many images of each `<split>_<label>`."""
    images = [(*name.split("_"), f"{name} {n}") for name, count in counts.items() for n in range(count)]
    return survey("welds", [say(image, label=label, split=split) for split, label, image in images], 0.1)


def test_images_are_counted_by_split_task_and_label_each_once() -> None:
    found = survey(
        "welds",
        [
            say("1", label="Crack", task="defect", split="train"),
            say("1", "a weld", label="crack", task="defect"),
            say("1", label="steel", split="train"),
            say("2", label="crack", task="defect", split="validation"),
            say("3", "a hole", split="test"),
        ],
        0.1,
    )
    assert found.images == {"train": 1, "validation": 1, "test": 1}
    assert found.labels == {"defect": {"Crack": {"train": 1, "validation": 1}}, "": {"steel": {"train": 1}}}


def test_a_dataset_that_is_good_enough_has_nothing_against_it() -> None:
    found = labelled(train_crack=16, train_pore=16, validation_crack=15, validation_pore=15)
    assert (unlearnable(found), hopeless(found, HUMBLE), scarce(found)) == ([], [], [])
    assert (found.telling, found.alike, needed_images(found)) == (30, (15, 15), 5)


def test_with_few_validation_images_it_is_told_how_many_more_show_a_better_model() -> None:
    found = labelled(train_crack=16, train_pore=16, validation_crack=6, validation_pore=5)
    assert hopeless(found, HUMBLE) == []
    (said,) = scarce(found)
    assert "with 11 validation images the gate may refuse a better model; with 30" in said and "19 more" in said


@pytest.mark.parametrize("counts", [{}, {"train_a": 5}, {"validation_a": 5}, {"train_a": 1, "validation_b": 9}])
def test_without_images_on_both_sides_nothing_begins(counts: dict[str, int]) -> None:
    found = labelled(**counts)
    if counts == {"train_a": 5}:  # of which one is drawn
        assert found.drawn and found.images == {"train": 5}
    (said,) = unlearnable(found)
    assert "at least 2 and 1 are needed" in said


def test_one_class_only_is_nothing_to_tell_apart() -> None:
    said = hopeless(labelled(train_pore=20, validation_pore=9), HUMBLE)
    assert "all 20 images to train on say the same, 'pore'" in said[0]
    assert "at 9 a model can't be wrong: needs 3 more" in said[1]
    spelt = survey("d", [say("1", label="Pore", split="train"), say("2", "pore ", split="train")], 0.1)
    assert spelt.only_text is not None


def test_validation_images_of_one_class_tell_nothing() -> None:
    (said,) = hopeless(labelled(train_pore=20, train_crack=20, validation_pore=9), HUMBLE)
    assert "the gate needs 12 validation images at least" in said
    assert "at 9 a model can't be wrong: needs 3 more, for example of 'crack'" in said


def test_too_few_validation_images_are_told_with_how_many_more_and_of_which_label() -> None:
    (said,) = hopeless(labelled(train_pore=20, train_crack=20, validation_pore=2, validation_crack=1), HUMBLE)
    assert "there are 3: needs 6 more, for example of 'crack'. Annotate them with the split validation" in said
    assert "are drawn" not in said
    drawn = survey("d", [say(f"{n}", label="ab"[n % 2]) for n in range(30)], 0.1)
    (said,) = hopeless(drawn, HUMBLE)
    missing = needed_images(drawn) - drawn.validation
    assert f"needs {missing} more" in said and f"or about {10 * missing} images without a split, of which 10%" in said


def test_what_learns_from_no_dataset_can_not_pass_the_gate() -> None:
    found = labelled(train_crack=16, train_pore=16, validation_crack=3, validation_pore=4)
    for asked in (Hyperparameters(data="world"), Hyperparameters(init="scratch")):
        (said,) = hopeless(found, asked)
        assert "the gate refuses the model" in said


def test_labels_with_few_images_are_told_with_how_many_more_they_need_the_fewest_first() -> None:
    found = labelled(train_pore=4, train_crack=2, train_sound=FEW_IMAGES, validation_pore=4, validation_sound=4)
    few, _, absent = scarce(found)
    assert "needs 14 more of 'crack', which has 2; needs 12 more of 'pore', which has 4" in few and "sound" not in few
    assert absent == "no validation image shows whether these are learnt: 'crack'"
    many = survey("d", [say(f"{n}", label=f"label {n}", split="train") for n in range(40)], 0.1)
    assert all("and 35 more" in said for said in scarce(many))
