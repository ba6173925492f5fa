"""What auto chooses: by figures, on datasets made for each choice, and what it says of it."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from contract.metrics import Metrics, Strategy
from contract.reports import Report
from contract.schedule import MIN_STEPS, PROJECTION_STEPS
from lambdas.gate.verdict import judge
from model.clip.checkpoint import load_checkpoint
from model.training.distributed import Ranks
from model.training.job import main
from model.training.start import Start, load_start
from model.training.state import StateFolder
from model.training.strategy import FULL_IMAGES, WORTH_IT, Errors, choose, decide, decided, settled
from tests.model.loops import ALONE, QUICK, tell

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220), "white": (240, 240, 240)}
AUTO = {**QUICK, "strategy": "auto", "learning_rate": None}


@pytest.mark.parametrize(
    ("errors", "images", "chosen"),
    [
        (Errors(0.9, 0.3, 0.2), FULL_IMAGES - 1, "head"),
        (Errors(0.9, 0.3, 0.15), FULL_IMAGES - 1, "projection"),
        (Errors(0.9, 0.3, 0.15), FULL_IMAGES, "full"),
        (Errors(0.9, 0.3, 0.04), FULL_IMAGES, "projection"),
        (Errors(0.9, WORTH_IT, 0.6), 100, "head"),
        (Errors(0.9, 0.0, 0.0), 100, "head"),
        (Errors(0.9, 0.3, None), FULL_IMAGES - 1, "head"),
        (Errors(0.9, 0.3, None), FULL_IMAGES, "full"),
    ],
)
def test_the_cheapest_is_chosen_whose_error_no_dearer_one_is_expected_to_halve(
    errors: Errors, images: float, chosen: str
) -> None:
    assert decide(errors, images) == chosen


def lay_out(channel: Path, each: int, colours: Sequence[tuple[str, tuple[int, int, int]]], noise: int) -> None:
    """So many images of each colour, and one more for validation, in patterns of so much noise."""
    rng = np.random.default_rng(0)
    for path in channel.iterdir():
        path.unlink()
    lines = []
    for number in range(each + 1):
        for name, colour in colours:
            pixels = np.clip(np.array(colour) + rng.integers(-noise, noise + 1, (8, 8, 3)), 0, 255).astype(np.uint8)
            image = f"{name}-{number}.png"
            Image.fromarray(pixels).resize((40, 40), Image.Resampling.NEAREST).save(channel / image)
            lines.append({"image": image, "label": name, "split": "train" if number else "validation"})
    (channel / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))


def start_of(job: Path, **values: object) -> Start:
    asked = Hyperparameters.model_validate({**AUTO, **values})
    return load_start(TrainSettings.from_env(os.environ), asked, ALONE)


def test_a_head_is_chosen_where_it_makes_no_mistakes(coloured_job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(coloured_job / "input/data/train", 12, list(COLOURS.items()), 10)
    found = choose(start_of(coloured_job), ALONE)
    assert found.chosen == "head" and found.images == 48 and found.images_per_label == 12
    assert found.head is not None and found.head <= WORTH_IT < (found.words or 0)
    printed = capsys.readouterr().out
    assert found.head == 0 and " head=0" in printed, "of the figures none is left out"
    assert "chosen=head" in printed and "annotated images already answer as well without a training" in printed


def test_the_projection_is_chosen_where_it_learns_what_no_head_can(coloured_job: Path) -> None:
    """Of six people each has named the colours of four images: of one person's there is no second one to learn from."""
    channel = coloured_job / "input/data/train"
    lay_out(channel, 6, list(COLOURS.items()), 10)
    lines = [json.loads(line) for line in (channel / "manifest.jsonl").read_text().splitlines()]
    for number, line in enumerate(lines):
        line["labels"] = {f"person {number // len(COLOURS)}": line.pop("label")}
    (channel / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = choose(start_of(coloured_job, projection_weight=0.1), ALONE)
    assert found.chosen == "projection" and found.images_per_label == 1
    assert found.head == found.words and (found.projection or 0) <= (found.head or 0) / 2
    assert found.sentence is not None and found.sentence.startswith("The visual projection alone is trained")


def test_all_weights_are_chosen_where_many_images_are_told_apart_badly(coloured_job: Path) -> None:
    lay_out(coloured_job / "input/data/train", 12, [(name, (128, 128, 128)) for name in COLOURS], 90)
    found = choose(start_of(coloured_job), ALONE)
    assert found.chosen == "full" and min(found.head or 0, found.projection or 0) > WORTH_IT
    assert found.sentence is not None and "12 images in the median" in found.sentence


def test_images_without_labels_are_trained_on_with_all_weights(coloured_job: Path) -> None:
    found = choose(start_of(coloured_job), ALONE)
    assert found == Strategy(chosen="full", sentence=found.sentence)
    assert found.sentence is not None and "no labels" in found.sentence


def test_what_is_chosen_is_the_recipe_of_the_same_run(coloured_job: Path) -> None:
    start = start_of(coloured_job, steps=None)
    steps = {chosen: decided(start, chosen, ALONE) for chosen in ("head", "projection", "full")}
    assert [each.recipe.steps for each in steps.values()] == [0, PROJECTION_STEPS, MIN_STEPS]
    assert steps["projection"].recipe.strategy == "projection"
    assert {each.digest() for each in steps.values()} == {start.digest()}


def test_a_given_rate_and_number_of_steps_are_of_all_weights(coloured_job: Path) -> None:
    start = start_of(coloured_job, learning_rate=1e-6)
    of = {chosen: decided(start, chosen, ALONE).recipe for chosen in ("full", "projection")}
    assert (of["full"].steps, of["full"].learning_rate) == (24, 1e-6)
    assert of["projection"].steps == PROJECTION_STEPS and of["projection"].learning_rate > 1e-3


def test_other_processes_batches_change_no_steps_of_what_was_chosen(coloured_job: Path) -> None:
    start = start_of(coloured_job, steps=None, epochs=1000)
    steps = {chosen: decided(start, chosen, ALONE).recipe for chosen in ("head", "projection", "full")}
    assert [each.at_batch(4).steps for each in steps.values()] == [0, PROJECTION_STEPS, 9000]


def test_the_base_is_asked_where_the_run_is(coloured_job: Path) -> None:
    """On a machine with a GPU it is loaded elsewhere. Without labels nothing is computed, so that no such is needed."""
    start = start_of(coloured_job)
    choose(start, Ranks(0, 1, torch.device("meta")))
    assert start.checkpoint.model.device.type == "meta"


def test_what_was_chosen_is_not_found_out_again_when_the_run_goes_on(
    coloured_job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(coloured_job / "input/data/train", 12, list(COLOURS.items()), 10)
    start = start_of(coloured_job)
    states = StateFolder(coloured_job / "checkpoints", start.digest())
    first = settled(start, ALONE, states)
    assert first.strategy is not None and first.strategy.chosen == "head" and states.choice() == first.strategy
    states.remember(other := Strategy(chosen="projection", sentence="On another machine."))
    again = settled(start, ALONE, states)
    assert (again.strategy, again.recipe.strategy) == (other, "projection")
    assert "as before: On another machine." in capsys.readouterr().out


def test_where_a_head_does_the_bases_weights_are_published_and_every_place_says_why(coloured_job: Path) -> None:
    lay_out(coloured_job / "input/data/train", 12, list(COLOURS.items()), 10)
    tell(coloured_job, {name: str(value) for name, value in AUTO.items() if value is not None})
    assert main() == 0
    checkpoint = load_checkpoint(coloured_job / "model")
    base = load_checkpoint(Path(os.environ["BASE_MODEL_DIR"])).model.state_dict()
    assert all((weight == base[name]).all() for name, weight in checkpoint.model.state_dict().items())
    assert "fine-tuned" not in checkpoint.metadata.card().knows
    metrics = Metrics.of(checkpoint.metadata.metrics)
    assert metrics.strategy is not None and metrics.strategy.chosen == "head" and metrics.step == 0
    assert metrics.interpolation is not None and metrics.interpolation.alpha == 0
    sentence = metrics.strategy.sentence
    assert sentence is not None and metrics.interpolation.sentence == sentence
    report = Report.model_validate_json((coloured_job / "model/report.json").read_bytes())
    assert report.strategy == sentence
    pages = [(coloured_job / "model" / name).read_text() for name in ("README.md", "report.html")]
    assert "## What was trained" in pages[0] and "annotated images already answer as well" in pages[1]
    gate = judge(checkpoint.metadata.metrics)
    assert not gate.passed and len(gate.reasons) == 1 and "already answer as well without a training" in gate.reasons[0]
    assert gate.figures["chosen"] == "head" and gate.figures["head"] == metrics.strategy.head
