"""The world's tasks: every question has one right answer, and none is asked of what was trained on."""

from collections import Counter

import pytest

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


def test_fitting_and_choosing_look_at_other_images_than_the_report_and_at_nothing_kept_unseen() -> None:
    reported = {task.split for task in TASKS}
    looked_at = {task.name: task.validation_split for task in TASKS}
    assert not reported & set(looked_at.values())
    assert {name for name, split in looked_at.items() if split is None} == {"colour_and_shape_unseen"}
    for name, split in looked_at.items():
        assert split is None or len(ask(BY_NAME[name], split, seed=5, scenes=1500)) > 0, name
