"""Zero-shot figures of a checkpoint on the rendered world."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from model.calibration import fit_calibration
from model.checkpoint import load_checkpoint
from model.evaluate import main
from model.evaluation.answers import result
from model.evaluation.batches import embed_labels
from model.evaluation.world import World
from model.inference import Clip
from model.world.scene import UNSEEN_PAIRS, scene_at
from model.world.tasks import TASKS, ask

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
    figures = tmp_path / "metrics.json"
    assert main(["--checkpoint", str(checkpoint_dir), "--scenes", "120", "--json", str(figures)]) == 0
    printed, written = capsys.readouterr().out, json.loads(figures.read_text())
    for name in BY_NAME:
        assert f"| {name} " in printed
        assert set(written[name]) == {"accuracy", "chance", "images", "calibration_error"}
