"""Tasks about labelled images in a folder."""

import json
from pathlib import Path

import pytest
from PIL import Image

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.data.readers import read_records
from model.data.records import DataError
from model.evaluation.labelled import EmbeddedImages, captions_truth, own_tasks, read_tasks, records_to_ask

SHADES = {"light_grey": 200, "dark_grey": 40}


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    """A folder per class, below train/ and test/."""
    for split, images in (("train", 3), ("test", 2)):
        for name, shade in SHADES.items():
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(images):
                Image.new("RGB", (32, 32), (shade, shade, shade + number)).save(
                    tmp_path / split / name / f"{number}.png"
                )
    return tmp_path


@pytest.fixture(scope="module")
def clip(checkpoint_dir: Path) -> Clip:
    return Clip(load_checkpoint(checkpoint_dir))


def written(folder: Path, value: object) -> Path:
    path = folder / "tasks.json"
    path.write_text(json.dumps(value))
    return path


def test_a_task_is_read_with_its_sentences_and_its_folder_beside_the_file(shades: Path) -> None:
    labels = ["light grey", {"label": "dark grey", "annotations": ["a gloomy shade"]}]
    task = {"name": "shade", "labels": labels, "templates": ["{} it is"], "data": "."}
    (found, folder), (other, _) = read_tasks(written(shades, [task, {**task, "name": "other"}]))
    assert folder.resolve() == shades.resolve() and (found.name, other.name) == ("shade", "other")
    assert found.labels == ("light grey", "dark grey")
    assert found.prompts == [["light grey it is"], ["a gloomy shade"]]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"name": "shade", "labels": ["grey"], "data": "."}, "labels"),
        ({"name": "shade", "labels": ["a", "b"]}, "data: Field required"),
        ({"name": "shade", "labels": ["a", "b"], "data": ".", "tempates": []}, "tempates"),
    ],
)
def test_a_file_that_holds_no_task_is_refused_with_what_is_needed(shades: Path, value: object, words: str) -> None:
    with pytest.raises(DataError, match=words) as refused:
        read_tasks(written(shades, value))
    assert "needed is" in str(refused.value)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"name": "a", "name": "b"}', '{"name": NaN}', "\xff"])
def test_a_file_that_is_not_quite_json_is_refused_with_what_is_needed(tmp_path: Path, text: str) -> None:
    (tmp_path / "tasks.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"is no file of tasks: .*needed is"):
        read_tasks(tmp_path / "tasks.json")


def test_test_images_are_asked_where_there_are_some_and_found_by_class_however_it_is_spelt(
    shades: Path, clip: Clip
) -> None:
    (shades / "test/light_grey/broken.png").write_bytes(b"")
    images = EmbeddedImages(clip, shades, records_to_ask(read_records(shades)))
    ((task, _),) = read_tasks(written(shades, {"name": "shade", "labels": ["light grey", "dark_grey"], "data": "."}))
    asked = images.evaluation_set(task)
    assert sorted(asked.targets.tolist()) == [0, 0, 1, 1] and images.unreadable == 1
    for row, target in zip(asked.rows.tolist(), asked.targets.tolist(), strict=True):
        assert ("light" in images.records[row].image) == (target == 0)


def test_a_label_is_the_same_in_another_case(shades: Path, clip: Clip) -> None:
    ((task, _),) = read_tasks(written(shades, {"name": "shade", "labels": ["LIGHT Grey", "dark grey"], "data": "."}))
    records = read_records(shades)
    assert task.is_about(records)
    assert sorted(EmbeddedImages(clip, shades, records).evaluation_set(task).targets.tolist()) == [0] * 5 + [1] * 5
    with pytest.raises(DataError, match="two labels of the task 'shade' are the same to the model"):
        read_tasks(written(shades, {"name": "shade", "labels": ["grey", "Grey"], "data": "."}))


def test_a_task_whose_labels_no_image_has_says_which_they_have(shades: Path, clip: Clip) -> None:
    ((task, _),) = read_tasks(written(shades, {"name": "shade", "labels": ["cat", "dog"], "data": "."}))
    with pytest.raises(DataError, match="begin with cat, dog; those of the images are dark grey, light grey"):
        EmbeddedImages(clip, shades, read_records(shades)).evaluation_set(task)


def test_the_datas_own_labels_are_a_task_in_wordings_kept_out_of_training(shades: Path) -> None:
    records = read_records(shades)
    (task,) = own_tasks(records)
    assert task.labels == ("dark grey", "light grey")
    said = {sentence for record in records for sentence in record.said}
    assert not said & {sentence for prompts in task.prompts for sentence in prompts}
    assert all(set(prompts) <= said for prompts in task.trained)


def test_images_of_one_class_share_its_captions(shades: Path) -> None:
    records = read_records(shades)
    texts, truth = captions_truth(records)
    assert truth.sum(dim=0).tolist() == [5] * len(texts)
