"""A model's answers about the rendered world."""

from pathlib import Path

import pytest

from model.clip.calibration import fit_calibration
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.evaluation.answers import result
from model.evaluation.world import World, trained_wordings, validation_accuracy
from model.world.tasks import TASKS


def test_a_run_on_the_world_is_watched_by_a_share_of_right_answers(checkpoint_dir: Path) -> None:
    assert 0 <= validation_accuracy(World(Clip(load_checkpoint(checkpoint_dir)), scenes=120)) <= 1


@pytest.mark.slow
def test_a_model_that_learnt_nothing_is_near_chance_and_calibrated_to_say_so(checkpoint_dir: Path) -> None:
    world = World(Clip(load_checkpoint(checkpoint_dir)), scenes=300)
    tasks = [task for task in TASKS if task.name in ("count", "texture")]
    pairs = [(said.cosines, said.truth) for said in world.validation_answers(tasks).values()]
    calibration = fit_calibration(pairs, world.clip.logit_scale)
    assert calibration.temperature is not None and calibration.multi_label is not None
    for said in world.every_answer(tasks).values():
        figures = result(said, world.clip.logit_scale, calibration.temperature)
        assert figures.accuracy == pytest.approx(figures.chance, abs=0.15)
        assert figures.calibration_error < 0.2


def test_trained_wordings_of_the_world_are_none_of_those_that_its_tasks_ask_in() -> None:
    found = {task.name: wordings for task in TASKS if (wordings := trained_wordings(task))}
    assert {"shape", "thing", "colour", "count"} <= found.keys()
    for task in TASKS:
        asked = {sentence for prompts in task.prompts for sentence in prompts}
        assert not asked & {sentence for prompts in found.get(task.name, []) for sentence in prompts}
