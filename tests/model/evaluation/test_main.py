"""Zero-shot figures of a checkpoint on the rendered world."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from model.clip.calibration import fit_calibration
from model.clip.checkpoint import CheckpointMetadata, load_checkpoint, save_checkpoint
from model.clip.encode import Clip
from model.evaluation.__main__ import main
from model.evaluation.answers import result
from model.evaluation.embed import embed_labels
from model.evaluation.world import World, validation_accuracy
from model.world.scene import UNSEEN_PAIRS, scene_at
from model.world.tasks import TASKS, ask
from tests.model.conftest import tiny_model, tiny_processor, tiny_tokenizer

BY_NAME = {task.name: task for task in TASKS}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_question_is_answered_by_its_scene_and_labels_are_equally_frequent(name: str) -> None:
    task = BY_NAME[name]
    questions = ask(task, task.split, seed=5, scenes=1500)
    for question in questions:
        scene = scene_at(5, task.split, question.index)
        assert task.answer(scene) == task.labels[question.target]
    assert questions and len(set(Counter(question.target for question in questions).values())) == 1


def test_the_unseen_task_asks_for_held_back_combinations_among_all() -> None:
    task = BY_NAME["colour_and_shape_unseen"]
    asked = {task.labels[question.target] for question in ask(task, "unseen", seed=5, scenes=300)}
    assert asked == {f"{colour} {shape}" for shape, colour in UNSEEN_PAIRS}
    assert len(task.labels) == 100


def test_fitting_and_choosing_look_at_other_images_than_the_report_and_at_nothing_kept_unseen() -> None:
    reported = {task.split for task in TASKS}
    looked_at = {task.name: task.validation_split for task in TASKS}
    assert not reported & set(looked_at.values())
    assert {name for name, split in looked_at.items() if split is None} == {"colour_and_shape_unseen"}
    for name, split in looked_at.items():
        assert split is None or len(ask(BY_NAME[name], split, seed=5, scenes=1500)) > 0, name


def test_a_run_on_the_world_is_watched_by_a_share_of_right_answers(checkpoint_dir: Path) -> None:
    assert 0 <= validation_accuracy(World(Clip(load_checkpoint(checkpoint_dir)), scenes=120)) <= 1


def test_a_labels_vector_is_the_mean_of_its_sentences(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    vector = embed_labels(clip, [["red", "a red one"], ["blue"]])[0]
    mean = torch.stack([text.vector for text in clip.embed_texts(["red", "a red one"])]).mean(dim=0)
    assert torch.allclose(vector, normalize(mean, dim=-1), atol=1e-6)


def test_a_model_that_learnt_nothing_is_near_chance_and_calibrated_to_say_so(checkpoint_dir: Path) -> None:
    world = World(Clip(load_checkpoint(checkpoint_dir)), scenes=300)
    tasks = [BY_NAME[name] for name in ("count", "texture")]
    pairs = [(said.cosines, said.truth) for said in world.validation_answers(tasks).values()]
    calibration = fit_calibration(pairs, world.clip.logit_scale)
    assert calibration.temperature is not None and calibration.multi_label is not None
    for said in world.every_answer(tasks).values():
        figures = result(said, world.clip.logit_scale, calibration.temperature)
        assert figures.accuracy == pytest.approx(figures.chance, abs=0.15)
        assert figures.calibration_error < 0.2


def test_the_command_prints_a_table_and_writes_the_figures(
    checkpoint_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "metrics.json"
    assert main(["--checkpoint", str(checkpoint_dir), "--scenes", "120", "--json", str(path)]) == 0
    printed, written = capsys.readouterr().out, json.loads(path.read_text())
    for name in BY_NAME:
        assert f"| {name} " in printed and f"\ntask={name} accuracy=" in printed
        figures = {"accuracy", "macro_recall", "chance", "images", "calibration_error", "raw_calibration_error"}
        assert set(written["tasks"][name]) == figures
    assert written["checkpoint"] == "tiny-1" and written["wording"].keys() <= BY_NAME.keys()


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


def test_what_is_wrong_with_a_checkpoint_or_a_task_is_one_sentence(
    checkpoint_dir: Path, shades: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--checkpoint", str(shades), "--scenes", "0"]) == 1
    assert "holds no config.json" in capsys.readouterr().err
    twice = ["--tasks", str(shades / "tasks.json"), str(shades / "tasks.json"), "--scenes", "0"]
    assert main(["--checkpoint", str(checkpoint_dir), *twice]) == 1
    assert "two tasks called 'shade'" in capsys.readouterr().err
