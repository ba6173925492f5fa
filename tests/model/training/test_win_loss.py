"""What was won on the new domain, counted image by image."""

import json
from collections.abc import Callable
from pathlib import Path

import torch

from contract.models import GOLDEN
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.training.job import main
from model.training.loop import Loop
from model.training.win_loss import gain


def test_a_model_neither_wins_nor_loses_against_itself(loop_of: Callable[..., Loop], checkpoint_dir: Path) -> None:
    assert gain(loop_of(), Clip(load_checkpoint(checkpoint_dir))) == {"images": 4, "won": 0, "lost": 0}


def test_won_and_lost_are_the_images_that_only_one_gets_right(
    loop_of: Callable[..., Loop], checkpoint_dir: Path
) -> None:
    loop, base = loop_of(), load_checkpoint(checkpoint_dir)
    cosines, positives = loop.validation_cosines()
    right = positives.gather(1, cosines.argmax(dim=1, keepdim=True)).sum()
    with torch.no_grad():
        for weight in loop.averaged.model.visual_projection.parameters():
            weight.neg_()  # what was best is worst
    other, _ = loop.validation_cosines()
    still = positives.gather(1, other.argmax(dim=1, keepdim=True)).sum()
    found = gain(loop, Clip(base))
    assert found["won"] - found["lost"] == int(still - right)
    assert found["won"] + found["lost"] > 0


def test_a_finished_run_leaves_its_gain_and_its_golden_questions(coloured_job: Path) -> None:
    assert main() == 0
    metrics = json.loads((coloured_job / "model/wordsight.json").read_text())["metrics"]
    assert metrics["gain"]["images"] == 4
    accuracies = [metrics["interpolation"]["frontier"][0]["new"], metrics["after"]["validation_accuracy"]]
    assert metrics["gain"]["won"] - metrics["gain"]["lost"] == round(4 * (accuracies[1] - accuracies[0]))
    assert (coloured_job / "model" / GOLDEN).is_file()
