import shutil
from pathlib import Path

import pytest

from tests.lambdas.manage.conftest import SHIPPED
from tests.wordsight.conftest import Shell, System
from wordsight.add_model import checked, sent_of


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "My CLIP_2"
    shutil.copytree(SHIPPED, folder)
    return folder


def test_a_folder_is_looked_at_before_anything_is_sent(shell: Shell, system: System, checkpoint: Path) -> None:
    (checkpoint / "config.json").unlink()
    ran = shell("models", "add", checkpoint)
    assert ran.status == 1 and "lacks a configuration" in ran.err and not system.events
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    ran = shell("models", "add", checkpoint)
    assert "are pickled (pytorch_model.bin)" in ran.err and not system.events


def test_only_files_of_a_checkpoint_are_sent(checkpoint: Path) -> None:
    for name in (".git.json", "my notes.txt", "optimizer.pt"):
        (checkpoint / name).touch()
    (checkpoint / "runs").mkdir()
    assert checked(sent_of(checkpoint), str(checkpoint))
    assert sent_of(checkpoint).sizes_bytes().keys() == {
        each.name for each in SHIPPED.iterdir() if each.suffix != ".svg"
    }


def test_what_is_neither_a_folder_nor_a_model_of_a_hub_says_both(shell: Shell) -> None:
    ran = shell("models", "add", "absent")
    assert ran.status == 1 and "absent is no folder, and no model of a hub" in ran.err
