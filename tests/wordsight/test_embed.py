import json
from pathlib import Path

import pytest

from tests.lambdas.sagemaker import JPEG_START
from tests.wordsight.conftest import Shell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(JPEG_START + b"a")
    (tmp_path / "b.jpg").touch()
    return tmp_path


def test_texts_and_images_have_a_line_each(shell: Shell, folder: Path) -> None:
    (folder / "words.txt").write_text("a cat\n\na dog\n")
    ran = shell("embed", folder, "--text", "a fish", "--texts", folder / "words.txt")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [line.get("text") or Path(line["path"]).name for line in lines] == [
        "a fish",
        "a cat",
        "a dog",
        "a.jpg",
        "b.jpg",
    ]
    assert {len(line["embedding"]) for line in lines if "embedding" in line} == {len(lines[0]["embedding"])}
    assert lines[-1].keys() == {"path", "error"} and ran.status == 1 and "1 of 2 images have no answer" in ran.err


def test_what_can_not_be_embedded_is_said(shell: Shell, folder: Path) -> None:
    assert "nothing to embed is given" in shell("embed").err
    assert "absent can't be read" in shell("embed", "--texts", folder / "absent").err
    (folder / "latin").write_bytes(b"caf\xe9")
    assert "is no UTF-8 text" in shell("embed", "--texts", folder / "latin").err
