"""What is said about a dataset before it is trained on."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from contract.hyperparameters import Hyperparameters
from model.data.__main__ import main
from model.data.survey import survey
from model.world.examples import render
from tests.model.conftest import CONTEXT_LENGTH

PICTURES = 12
ROOT = Path(__file__).resolve().parents[3]


def dataset(directory: Path, captions: Sequence[str] = ("a red circle",), bad: int = 0) -> Path:
    lines = []
    for number in range(PICTURES):
        name = f"{number}.png"
        Image.fromarray(render(0, "train", number)).save(directory / name)
        split = "validation" if number >= 9 else "train"
        lines.append({"image": name, "captions": [f"number {number}", *captions], "split": split, "url": number})
        if number < bad:
            (directory / name).write_bytes(b"no image")
    (directory / "data.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return directory


def test_a_good_dataset_is_described_and_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(dataset(tmp_path))]) == 0
    printed = capsys.readouterr().out
    for words in (
        "JSON Lines",
        "12: 9 train, 3 validation (as the data says)",
        "24, 2 to 2 per image; 13 differ",
        "of 2 to 3 words, half of them up to 2",
        "100.0% of the images have 'a red circle'",
        "1 to 1",
        "url (12)",
        "0 of 12, allowed is 1.0%",
        "name a model with --checkpoint",
        "would take it",
    ):
        assert words in printed


def test_every_unreadable_image_is_named_and_too_many_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", str(dataset(tmp_path, bad=2))]) == 1
    printed = capsys.readouterr().out
    assert "2 of 12" in printed and "0.png: 8 bytes that start with" in printed and "1.png: 8 bytes" in printed
    assert "would refuse it: 2 of 12 images can't be read" in printed
    assert main(["validate", str(tmp_path), "--max-unreadable-share", "0.2"]) == 0


def test_what_is_no_dataset_ends_with_the_sentence_that_training_would_give(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", str(tmp_path)]) == 1
    assert "holds no dataset" in capsys.readouterr().err


def test_too_little_data_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    (tmp_path / "data.jsonl").write_text('{"image": "1.png", "text": "black"}')
    assert main(["validate", str(tmp_path)]) == 1
    assert "at least 2 and 1 are needed" in capsys.readouterr().out


def test_the_balance_of_labels_is_told_task_by_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = dataset(tmp_path) / "data.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    for number, line in enumerate(lines):
        line["labels"] = {"size": "small" if number < 9 else "large"}
        if number < 2:
            line |= {"labels": line["labels"] | {"shape": "round"}, "weight": 3}
    manifest.write_text("\n".join(map(json.dumps, lines)))
    assert main(["validate", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "size: 2, 'small' (9) to 'large' (3); 0 images have none" in printed
    assert "shape: 1, 'round' (2) to 'round' (2); 10 images have none" in printed
    assert "weights     1 to 3" in printed
    report = survey(tmp_path, Hyperparameters(), None, 0)
    assert report.labels == {"size": {"small": 9, "large": 3}, "shape": {"round": 2}}


def test_the_figures_can_be_had_as_json(tmp_path: Path, checkpoint_dir: Path) -> None:
    file = tmp_path / "report.json"
    assert main(["validate", str(dataset(tmp_path)), "--checkpoint", str(checkpoint_dir), "--json", str(file)]) == 0
    figures = json.loads(file.read_text())
    assert figures["images"] == {"train": 9, "validation": 3}
    assert figures["reading"]["context_length"] == CONTEXT_LENGTH


def test_a_folder_without_a_model_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(dataset(tmp_path)), "--checkpoint", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_is_spelled_as_the_documents_say(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "model.data", "validate", str(dataset(tmp_path))]
    assert "would take it" in subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert " ".join(command[1:4]) in (ROOT / "docs/datasets.md").read_text()
