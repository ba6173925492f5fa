"""What others publish is brought to POST /models as it is: open_clip's folders, and OpenAI's own files."""

from pathlib import Path

import pytest

from tests.lambdas.manage.conftest import Stage, add
from tests.model.clip.open_clip_folders import reference, save_folder
from tests.model.conftest import tiny_model, tiny_tokenizer
from tests.openai_folder import save_openai_folder


def bring(stage: Stage, folder: Path) -> None:
    for path in folder.iterdir():
        stage.bucket.upload_file(str(path), f"models/mine/{path.name}")


def test_a_folder_of_open_clips_is_registered_and_promoted(stage: Stage, tmp_path: Path) -> None:
    save_folder(tmp_path, reference("quick_gelu-224"))
    tiny_tokenizer().save_pretrained(tmp_path)
    bring(stage, tmp_path)
    answer = add(stage)
    assert answer.status == 201, answer.text
    assert stage.ask("POST", "/models/mine-1/promote").status == 202


def test_a_number_that_is_none_in_open_clips_weights_is_found(stage: Stage, tmp_path: Path) -> None:
    found = reference("quick_gelu-224")
    save_folder(tmp_path, found)
    tiny_tokenizer().save_pretrained(tmp_path)
    weights = tmp_path / "open_clip_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4:] = b"\x00\x00\xc0\x7f"
    weights.write_bytes(content)
    bring(stage, tmp_path)
    answer = add(stage)
    assert answer.status == 400 and "NaN" in answer.detail, answer.text


@pytest.mark.parametrize("kind", ["openai", "open_clip"])
def test_pickled_weights_are_refused_with_what_to_do(stage: Stage, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    if kind == "openai":
        save_openai_folder(folder, tiny_model(tiny_tokenizer()), tiny_tokenizer())
    else:
        save_folder(folder, reference("gelu-256"), pickled=True)
    bring(stage, folder)
    answer = add(stage)
    assert answer.status == 400
    assert "_model.bin is a pickle, which can run code" in answer.detail
    assert "`python -m model.clip.fetch FOLDER NEW-FOLDER` makes safetensors of it" in answer.detail


def test_openais_files_are_taken_with_safetensors(stage: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    save_openai_folder(folder, tiny_model(tiny_tokenizer()), tiny_tokenizer(), pickled=False)
    bring(stage, folder)
    answer = add(stage)
    assert answer.status == 201, answer.text
    assert stage.ask("POST", "/models/mine-1/promote").status == 202
