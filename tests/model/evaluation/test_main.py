"""`python -m model.evaluation`: a checkpoint's figures, printed and written."""

import json
from pathlib import Path

import pytest
from PIL import Image

from contract.checkpoints import CheckpointMetadata
from model.clip.checkpoint import save_checkpoint
from model.evaluation.__main__ import main
from model.world.tasks import TASKS
from tests.model.conftest import tiny_model, tiny_processor, tiny_tokenizer

TASK_NAMES = {task.name for task in TASKS}


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_the_figures(
    checkpoint_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "metrics.json"
    assert main(["--checkpoint", str(checkpoint_dir), "--scenes", "120", "--json", str(path)]) == 0
    printed, written = capsys.readouterr().out, json.loads(path.read_text())
    for name in TASK_NAMES:
        assert f"| {name} " in printed and f"\ntask={name} accuracy=" in printed
        figures = {"accuracy", "macro_recall", "chance", "images", "calibration_error", "raw_calibration_error"}
        assert set(written["tasks"][name]) == figures
    assert written["checkpoint"] == "tiny-1" and written["wording"].keys() <= TASK_NAMES


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    """Two classes, a task about them, and another checkpoint that answers otherwise."""
    for name, shade in {"light": 200, "dark": 40}.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(4):
            image = Image.new("RGB", (32, 32), (shade, shade + 8 * number, shade - 9 * number))
            image.save(tmp_path / "data" / name / f"{number}.png")
    tasks = [{"name": "shade", "labels": ["light", "dark"], "data": "data"}]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    tokenizer = tiny_tokenizer()
    metadata = CheckpointMetadata(version="other-1")
    save_checkpoint(tmp_path / "other", tiny_model(tokenizer, 3), tokenizer, tiny_processor(), metadata)
    return tmp_path


def test_labelled_folders_are_asked_compared_and_searched(
    checkpoint_dir: Path, shades: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--tasks", str(shades / "tasks.json"), "--retrieval", str(shades / "data"), "--scenes", "0"]
    path = shades / "figures.json"
    assert (
        main(["--checkpoint", str(shades / "other"), "--base", str(checkpoint_dir), *given, "--json", str(path)]) == 0
    )
    printed, written = capsys.readouterr().out, json.loads(path.read_text())
    assert (written["checkpoint"], written["base"]) == ("other-1", "tiny-1")
    after, before, changed = (written[name]["shade"] for name in ("tasks", "base_tasks", "changes"))
    assert changed["estimate"] == pytest.approx(after["accuracy"] - before["accuracy"], abs=1e-4)
    assert changed["low"] <= changed["estimate"] <= changed["high"] and after["images"] == 8
    assert "task=shade accuracy=" in printed and " change_low=" in printed
    found = written["retrieval"][str(shades / "data")]
    assert found.keys() == {f"{way}_recall_at_{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5)}


def test_a_folder_of_classes_is_taught_and_its_doubtful_labels_are_named(
    checkpoint_dir: Path, shades: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, shade in {"light": 200, "dark": 40}.items():
        for number in range(4, 20):
            wrong = number in (6, 12) and name == "light"
            image = Image.new("RGB", (32, 32), (240 - shade if wrong else shade, 90 + number, 90 - number))
            image.save(shades / "data" / name / f"{number}.png")
    path, folder = shades / "figures.json", str(shades / "data")
    given = ["--checkpoint", str(checkpoint_dir), "--teach", folder, "--scenes", "0", "--json", str(path)]
    assert main(given) == 0
    printed, written = capsys.readouterr().out, json.loads(path.read_text())
    assert written["teach"][folder].keys() == {"words", "head", "served"}
    assert written["teach"][folder]["head"].keys() == {"1", "2", "4", "8"}
    assert "| images of each class " in printed and "| calibration error: served " in printed
    assert f"teach={folder} method=head images_of_each=8 accuracy=" in printed
    named = {(Path(each["path"]).name, each["label"], each["instead"]) for each in written["doubtful"][folder]}
    assert named and named <= {("6.png", "light", "dark"), ("12.png", "light", "dark")}
    assert all(f"{each['path']}: light? rather dark" in printed for each in written["doubtful"][folder])
    assert written["tasks"] == {} and "| task " not in printed


def test_what_is_wrong_with_a_checkpoint_or_a_task_is_one_sentence(
    checkpoint_dir: Path, shades: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--checkpoint", str(shades), "--scenes", "0"]) == 1
    assert "holds no config.json" in capsys.readouterr().err
    twice = ["--tasks", str(shades / "tasks.json"), str(shades / "tasks.json"), "--scenes", "0"]
    assert main(["--checkpoint", str(checkpoint_dir), *twice]) == 1
    assert "two tasks called 'shade'" in capsys.readouterr().err
    (shades / "captions").mkdir()
    Image.new("RGB", (8, 8)).save(shades / "captions/1.png")
    (shades / "captions/metadata.jsonl").write_text('{"file_name": "1.png", "text": "a dark picture"}\n')
    assert main(["--checkpoint", str(checkpoint_dir), "--teach", str(shades / "captions"), "--scenes", "0"]) == 1
    assert "one kind of label" in capsys.readouterr().err
