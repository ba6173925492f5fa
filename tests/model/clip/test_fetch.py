"""The base checkpoint comes from a hub, whole, and never as a pickle that could run code."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from contract import models
from model.clip import fetch as program
from model.clip.checkpoint import load_checkpoint
from tests.hub import MODEL_ID, REVISION, Hub, Repository, publish, serving


@pytest.fixture
def repository(checkpoint_dir: Path, tmp_path: Path) -> Path:
    """The tiny checkpoint as others publish theirs, with something nobody needs."""
    folder = tmp_path / "repository"
    publish(checkpoint_dir, folder)
    (folder / "tf_model.h5").write_bytes(bytes(100))
    return folder


@pytest.fixture
def hub(repository: Path) -> Iterator[Hub]:
    with serving({MODEL_ID: Repository.of(repository)}) as hub:
        yield hub


def fetch(hub: Hub, directory: Path, home: Path) -> None:
    """By the file alone, as an image's build runs it."""
    environment = {**os.environ, **hub.environment(home)}
    alone = shutil.copy(program.__file__, home.parent / "fetch.py")
    subprocess.run(
        [sys.executable, alone, MODEL_ID, REVISION, str(directory)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )


def test_a_revision_that_holds_a_pickle_becomes_a_safetensors_checkpoint_named_after_it(
    repository: Path, hub: Hub, checkpoint_dir: Path, tmp_path: Path
) -> None:
    fetch(hub, tmp_path / "base", tmp_path / "home")
    fetched, original = load_checkpoint(tmp_path / "base"), load_checkpoint(checkpoint_dir)
    assert fetched.metadata.version == "somebody/tiny-clip@0123456789ab"
    for name, weight in original.model.state_dict().items():
        assert torch.equal(fetched.model.state_dict()[name], weight)
    assert not (tmp_path / "base" / "pytorch_model.bin").exists()
    assert not (tmp_path / "base" / "tf_model.h5").exists()


@pytest.mark.slow
def test_a_revision_with_safetensors_is_taken_as_it_is(
    repository: Path, hub: Hub, checkpoint_dir: Path, tmp_path: Path
) -> None:
    shutil.copy(checkpoint_dir / "model.safetensors", repository)
    fetch(hub, tmp_path / "base", tmp_path / "home")
    fetched = tmp_path / "base" / "model.safetensors"
    assert fetched.read_bytes() == (repository / "model.safetensors").read_bytes()
    assert not (tmp_path / "base" / "pytorch_model.bin").exists()


def test_a_pickle_that_would_run_code_is_not_read(tmp_path: Path) -> None:
    torch.save({"weight": print}, tmp_path / "pytorch_model.bin")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        program.convert_weights(tmp_path)


def test_its_names_are_the_contracts_which_it_does_not_import() -> None:
    assert (program.WEIGHTS, program.METADATA) == (models.WEIGHTS, models.METADATA)
