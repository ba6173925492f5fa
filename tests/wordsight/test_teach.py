from pathlib import Path

import pytest

from tests.lambdas.sagemaker import JPEG_START
from tests.wordsight.conftest import Shell, System
from wordsight.teach import line


@pytest.fixture
def pets(shell: Shell, tmp_path: Path) -> Path:
    """Two of each, and the task that they teach."""
    shell("tasks", "pet", "--labels", "cat,dog,owl")
    for number in range(4):
        label = ("cat", "dog")[number % 2]
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / f"{number}.jpg").write_bytes(JPEG_START + str(number).encode())
    assert shell("annotate", tmp_path, "--task", "pet").status == 0
    return tmp_path


def test_a_folder_that_is_annotated_teaches_its_task_which_tells_what_it_has_learnt(shell: Shell, pets: Path) -> None:
    ran = shell("teach", "pet")
    assert ran.status == 0
    rows = dict(row.split(None, 1) for row in ran.out.split("\n\n")[0].splitlines())
    assert rows["state"] == "live" and rows["images"] == "4 of 3 labels"
    assert rows["accuracy"] == "0.500 by words, 0.750 taught" and rows["ECE"] == "0.250 by words, 0.125 taught"
    assert ["owl", "0"] in [row.split() for row in ran.out.splitlines()]
    image = pets / "cat/0.jpg"
    taught, by_words = (shell("classify", image, "--task", "pet", *more, "--json").json for more in ((), ("--words",)))
    assert taught != by_words


def test_it_goes_back_to_the_words_and_to_an_earlier_head(shell: Shell, pets: Path) -> None:
    first = shell("teach", "pet", "--json").json["head"]
    (pets / "dog/9.jpg").write_bytes(JPEG_START + b"9")
    shell("annotate", pets, "--task", "pet")
    assert shell("tasks", "pet").json["taught"]["head"] != first
    assert shell("teach", "pet", "--undo", "--json").json["state"] == "paused"
    back = shell("teach", "pet", "--head", first[:6].upper(), "--json").json
    assert (back["state"], back["head"]) == ("live", first)
    refused = shell("teach", "pet", "--head", "xyz")
    assert (
        refused.status == 1
        and f"0 heads of pet begin with xyz, there are: {back['heads'][0]['sha256'][:12]}" in refused.err
    )


def test_what_was_never_taught_says_so(shell: Shell) -> None:
    shell("tasks", "pet", "--labels", "cat,dog", "--multi-label")
    assert "multi_label" in shell("teach", "pet").err
    assert shell("doubtful", "none").status == 1


def test_likely_wrong_annotations_are_listed_and_their_images_opened(
    shell: Shell, system: System, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no annotation is likely to be wrong" in shell("doubtful", "pet").out
    system.sagemaker.learns.doubts = (0.9, 0.6)
    shell("teach", "pet")
    heads, worst, other = shell("doubtful", "pet").out.splitlines()
    assert heads.split() == ["DOUBT", "SAID", "TAKEN", "FOR", "DATASET", "ID"]
    assert worst.startswith("90%") and other.startswith("60%")
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert len(shell("doubtful", "pet", "--open", "--limit", 1, "--json").json) == 1
    (url,) = opened
    assert "/images/" in url and "Signature" in url


def test_how_far_it_is_is_told_in_a_line() -> None:
    taught = {"teaching": True, "state": "live", "progress": {"done": 32, "of": 64}}
    assert "32/64 images; looking at the annotations" in line(taught)
    assert line({**taught, "progress": None}) == "looking at the annotations"
