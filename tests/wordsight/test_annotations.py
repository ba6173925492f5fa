import json
from pathlib import Path

import pytest

from contract.limits import MAX_LISTED_ANNOTATIONS
from tests.lambdas.sagemaker import JPEG_START
from tests.wordsight.conftest import Shell


@pytest.fixture
def kept(shell: Shell, tmp_path: Path) -> list[dict[str, str]]:
    """Three pets."""
    for number, label in enumerate(("cat", "cat", "dog")):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / f"{number}.jpg").write_bytes(JPEG_START + str(number).encode())
    stored: list[dict[str, str]] = shell("annotate", tmp_path, "--dataset", "pets", "--task", "pet", "--json").json
    return stored


def test_a_dataset_is_listed_with_its_balance(shell: Shell, kept: list[dict[str, str]]) -> None:
    ran = shell("annotations", "--dataset", "pets")
    heads, *rows, balance = ran.out.splitlines()
    assert heads.split() == ["ID", "SPLIT", "TASK", "LABEL", "SENTENCES"] and len(rows) == 3
    assert balance == "3 annotations; pet: 2 cat, 1 dog"
    lines = [json.loads(line) for line in shell("annotations", "--dataset", "pets", "--jsonl").out.splitlines()]
    assert sorted(each["id"] for each in lines) == sorted(each["id"] for each in kept)
    assert len(shell("annotations", "--dataset", "pets", "--json", "--limit", 2).json["annotations"]) == 2


def test_more_than_one_page_are_listed_all(shell: Shell, tmp_path: Path) -> None:
    lines = [{"image": "1.jpg", "caption": f"it is number {number}"} for number in range(MAX_LISTED_ANNOTATIONS + 1)]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "1.jpg").write_bytes(JPEG_START)
    assert shell("annotate", tmp_path, "--dataset", "numbers").status == 0
    assert len(shell("annotations", "--dataset", "numbers", "--jsonl").out.splitlines()) == MAX_LISTED_ANNOTATIONS + 1


def test_one_is_shown_and_deleted_and_an_image_with_all_that_is_said_of_it(
    shell: Shell, kept: list[dict[str, str]]
) -> None:
    first, second, _ = kept
    assert "cat" in shell("annotations", first["id"], "--dataset", "pets").out
    assert shell("annotations", first["id"], "--dataset", "pets", "--delete").status == 0
    assert shell("annotations", first["id"], "--dataset", "pets").status == 1
    ran = shell("annotations", "--delete-image", second["image"])
    assert ran.out == "1 annotations and their image are forgotten\n"
    assert "1 annotations; pet: 1 dog" in shell("annotations", "--dataset", "pets").out


def test_what_makes_no_sense_is_said(shell: Shell) -> None:
    assert "which annotation? give its id" in shell("annotations", "--delete").err
    assert "by itself" in shell("annotations", "x", "--delete-image", "0" * 64).err
