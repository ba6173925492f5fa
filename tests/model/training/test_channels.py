"""A training job takes what SageMaker gives it: it needs no network and writes nothing into a channel."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from model.training.job import main
from model.training.loop import Loop

HYPERPARAMETERS = {
    **{"steps": "4", "batch_size": "4", "learning_rate": "1e-3", "warmup_steps": "1", "seed": "7", "threads": "1"},
    **{"selection_scenes": "100", "evaluation_scenes": "100", "max_unreadable_share": "0.2"},
}
"""As SageMaker passes them: one JSON object of strings."""


@pytest.fixture
def job(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /opt/ml with its two configuration files and no channel."""
    (tmp_path / "input/config").mkdir(parents=True)
    (tmp_path / "input/config/hyperparameters.json").write_text(json.dumps(HYPERPARAMETERS))
    resources = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
    (tmp_path / "input/config/resourceconfig.json").write_text(json.dumps(resources))
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.setenv("BASE_MODEL_DIR", str(checkpoint_dir))
    return tmp_path


def mount_channel(job: Path) -> Path:
    """Ten images, one of them broken."""
    channel = job / "input/data/train"
    channel.mkdir(parents=True)
    lines = []
    for number in range(10):
        Image.new("RGB", (40, 40), (20 * number, 0, 0)).save(channel / f"{number}.png")
        split = "validation" if number < 2 else "train"
        lines.append({"image": f"{number}.png", "captions": [f"number {number}"], "split": split})
    (channel / "9.png").write_bytes(b"broken")
    (channel / "data.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return channel


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way out that Python's own clients take is closed."""

    def refused(*_: object, **__: object) -> NoReturn:
        raise AssertionError("something asked for the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    with pytest.raises(AssertionError, match="asked for the network"):
        socket.create_connection(("127.0.0.1", 9))


def state_of(directory: Path) -> dict[str, tuple[int, int]]:
    """A file that is written changes its own time, one that is made or removed that of its folder."""
    return {
        path.relative_to(directory).as_posix(): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in (directory, *directory.rglob("*"))
    }


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_a_job_needs_no_network_and_leaves_its_input_as_it_was(job: Path, checkpoint_dir: Path) -> None:
    mount_channel(job)
    before = state_of(job / "input"), state_of(checkpoint_dir)
    assert main() == 0
    assert (state_of(job / "input"), state_of(checkpoint_dir)) == before
    assert {path.name for path in job.iterdir()} == {"input", "output", "model", "checkpoints"}
    (line,) = (job / "output/data/quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["image"] == "9.png"
    for loaded in (CLIPModel, AutoTokenizer, AutoImageProcessor):
        loaded.from_pretrained(job / "model")
    recipe = json.loads((job / "model/wordsight.json").read_text())["metrics"]["hyperparameters"]
    told = {name: recipe[name] for name in HYPERPARAMETERS}
    assert told == {name: json.loads(text) for name, text in HYPERPARAMETERS.items()}, "not what the strings said"


def test_a_channel_that_is_not_mounted_is_named_with_what_belongs_there(job: Path) -> None:
    assert main() == 1
    failure = (job / "output/failure").read_text()
    assert f"{job / 'input/data/train'} holds no dataset" in failure
    assert '{"image": "images/1.jpg", "captions": ["a red circle"]}' in failure
    assert not (job / "model").exists()


def test_a_run_is_the_same_whether_images_are_kept_or_decoded_anew(loop_of: Callable[..., Loop]) -> None:
    kept, anew = loop_of(), loop_of(kept_pixels_bytes=0)
    assert isinstance(kept.examples.image(0), np.ndarray) and not isinstance(anew.examples.image(0), np.ndarray)
    assert [kept.take_step() for _ in range(4)] == [anew.take_step() for _ in range(4)]
    assert all(torch.equal(a, b) for a, b in zip(kept.averaged.parameters(), anew.averaged.parameters(), strict=True))
