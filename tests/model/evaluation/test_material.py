"""Wordings."""

from pathlib import Path

import torch

from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.evaluation.embed import embed_labels
from model.evaluation.material import Material, wording_gap
from model.evaluation.world import trained_wordings
from model.world.tasks import TASKS


def test_the_gap_is_between_single_wordings(checkpoint_dir: Path) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    trained, strange = [["red", "a red one"], ["blue", "a blue one"]], [["blue"], ["red"]]
    images = embed_labels(clip, [["red"], ["blue"], ["a red one"], ["a blue one"]])
    material = Material(images, torch.tensor([0, 1, 0, 1]), torch.arange(4))
    alone = [material.answers(clip, [[said[n]] for said in trained]).right.float().mean() for n in range(2)]
    swapped = float(material.answers(clip, strange).right.float().mean())
    gap = wording_gap(clip, material, trained, strange)
    assert gap.trained == float(sum(alone)) / 2 and gap.held_out == swapped
    assert gap.as_metrics()["gap"] == round(gap.trained - swapped, 4)


def test_trained_wordings_of_the_world_are_none_of_those_that_its_tasks_ask_in() -> None:
    found = {task.name: wordings for task in TASKS if (wordings := trained_wordings(task))}
    assert {"shape", "thing", "colour", "count"} <= found.keys()
    for task in TASKS:
        asked = {sentence for prompts in task.prompts for sentence in prompts}
        assert not asked & {sentence for prompts in found.get(task.name, []) for sentence in prompts}
