"""What so many images of each class teach at once."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.data.readers import read_records
from model.data.records import DataError
from model.evaluation.answers import EvaluationSet
from model.evaluation.labelled import EmbeddedImages
from model.evaluation.teaching import (
    DRAWS,
    HEAD,
    SERVED,
    WORDS,
    TeachingSet,
    doubtful,
    learn,
    learnt_figures,
    learnt_table,
    served_accuracy,
    served_scale,
    teaching_set,
)

WIDTH, LABELS, SCALE = 16, 4, 20.0


def a_set(each: int, misled: float) -> TeachingSet:
    """Labels that are easily told apart by images, and by words that tell of others."""
    draws = torch.Generator().manual_seed(0)
    places = normalize(torch.randn(LABELS, WIDTH, generator=draws), dim=1)

    def images(count: int) -> EvaluationSet:
        labels = torch.arange(LABELS).repeat(count)
        noise = 0.15 * torch.randn(len(labels), WIDTH, generator=draws)
        return EvaluationSet(normalize(places[labels] + noise, dim=1), labels, torch.arange(len(labels)))

    texts = normalize(places.roll(1, 0) * misled + places * (1 - misled), dim=1)
    train = images(each)
    paths = [f"{number}.png" for number in range(len(train.targets))]
    return TeachingSet(("cat", "dog", "owl", "bee"), train, images(25), texts, None, paths)


def test_of_every_label_as_many_images_are_drawn_or_all_and_others_by_another_seed() -> None:
    train = EvaluationSet(torch.zeros(17, 2), torch.tensor([0] * 3 + [1] * 9 + [2] * 5), torch.arange(17))
    found = TeachingSet(("a", "b", "c"), train, train, torch.zeros(3, 2))
    rows = found.draw(4, seed=1)
    assert train.targets[rows].bincount().tolist() == [3, 4, 4] and len(rows.unique()) == 11
    assert rows.tolist() == found.draw(4, seed=1).tolist() != found.draw(4, seed=2).tolist()


def test_the_head_learns_what_words_get_wrong_and_is_served_where_that_is_seen() -> None:
    learnt = learn(a_set(4, misled=1.0), SCALE)
    assert list(learnt) == [WORDS, HEAD, SERVED] and list(learnt[HEAD]) == [1, 2, 4]
    assert all(len(figures.accuracies) == DRAWS for figures in learnt[HEAD].values())
    assert max(learnt[WORDS][4].accuracies) < 0.2 and min(learnt[HEAD][4].accuracies) > 0.9
    assert learnt[SERVED][4] == learnt[HEAD][4]
    assert learnt[SERVED][1] == learnt[WORDS][1]  # where every class has one image, nothing can be left out


def test_what_is_served_is_the_head_where_it_gains_and_the_words_where_it_does_not() -> None:
    taught, known = a_set(8, misled=1.0), a_set(1, misled=0.0)
    assert served_accuracy(taught.train, taught.test, taught.texts, SCALE, None) > 0.9
    by_words = known.test.embeds @ known.texts.T
    accuracy = float((by_words.argmax(dim=1) == known.test.targets).float().mean())
    assert served_accuracy(known.train, known.test, known.texts, SCALE, None) == accuracy


def test_another_method_is_asked_the_same() -> None:
    def first_label(images: Tensor, labels: Tensor, texts: Tensor, scale: float, asked: Tensor) -> Tensor:
        assert images.shape == (len(labels), WIDTH) and texts.shape == (LABELS, WIDTH) and scale == SCALE
        return torch.eye(LABELS)[:1].expand(len(asked), LABELS)

    learnt = learn(a_set(2, misled=0.5), SCALE, {"first": first_label})
    assert learnt["first"][2].accuracies == [0.25] * DRAWS


def test_the_table_and_the_figures_have_every_count_and_how_honest_it_is() -> None:
    learnt = learn(a_set(2, misled=1.0), SCALE)
    table, figures = learnt_table(learnt), learnt_figures(learnt)
    assert [cell.strip() for cell in table.splitlines()[0].split("|")[1:-1]] == ["images of each class", "1", "2"]
    accuracy, error = (figures[HEAD]["2"][name] for name in ("accuracy", "calibration_error"))
    rows = {line.split("|")[1].strip(): line.split("|")[3].strip() for line in table.splitlines()[2:]}
    assert rows[HEAD] == f"{accuracy:.3f}" and rows[f"calibration error: {HEAD}"] == f"{error:.3f}"


def test_annotations_that_are_rather_wrong_are_named_with_what_they_are_instead() -> None:
    found = a_set(12, misled=0.5)
    wrong = found.train.targets.clone()
    wrong[8], wrong[21] = 3, 2  # what were a cat and a dog
    spoilt = TeachingSet(
        found.labels,
        EvaluationSet(found.train.embeds, wrong, found.train.rows),
        found.test,
        found.texts,
        None,
        found.paths,
    )
    named = doubtful(spoilt, SCALE)
    assert {(each.path, each.label, each.instead) for each in named} == {
        ("8.png", "bee", "cat"),
        ("21.png", "owl", "dog"),
    }
    assert all(each.doubt > 0.5 for each in named) and doubtful(found, SCALE) == []


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    for name, shade in {"light": 200, "dark": 40}.items():
        for split, count in {"train": 4, "test": 3}.items():
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", (32, 32), (shade, shade + 8 * number, shade - 9 * number))
                image.save(tmp_path / "data" / split / name / f"{split}{number}.png")
    return tmp_path / "data"


def of(clip: Clip, folder: Path) -> TeachingSet:
    return teaching_set(clip, EmbeddedImages(clip, folder, read_records(folder)))


def test_a_folders_test_images_are_asked_or_else_every_second_one(checkpoint_dir: Path, shades: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    found = of(clip, shades)
    assert found.labels == ("dark", "light") and found.texts.shape == (2, found.train.embeds.shape[1])
    assert (found.train.targets.bincount().tolist(), found.test.targets.bincount().tolist()) == ([4, 4], [3, 3])
    assert all("train" in path for path in found.paths)
    halves = of(clip, shades / "train")
    assert (halves.train.targets.bincount().tolist(), halves.test.targets.bincount().tolist()) == ([2, 2], [2, 2])
    assert served_scale(clip) == clip.logit_scale / (clip.calibration.temperature or 1.0)


def test_a_folder_that_can_not_be_taught_by_is_refused_with_a_sentence(checkpoint_dir: Path, shades: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    for name in ("dark", "light"):
        for image in list((shades / "train" / name).iterdir())[1:]:
            image.unlink()
    with pytest.raises(DataError, match="of 2 images 0 are there to ask"):
        of(clip, shades / "train")
    (shades / "captions").mkdir()
    Image.new("RGB", (8, 8)).save(shades / "captions/1.png")
    (shades / "captions/metadata.jsonl").write_text('{"file_name": "1.png", "text": "a dark picture"}\n')
    with pytest.raises(DataError, match="one kind of label, as a folder for each class gives: here is none"):
        of(clip, shades / "captions")
