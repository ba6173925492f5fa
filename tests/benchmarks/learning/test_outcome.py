"""What a model can do after a run, and how honest its scores are."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.learning.outcome import NEW, measure
from contract.checkpoints import Calibration
from model.clip.checkpoint import Checkpoint, load_checkpoint
from model.world.examples import render
from model.world.scene import scene_at

SHIPPED = Path(__file__).resolve().parents[3] / "model/shipped"


@pytest.fixture
def trees_and_cars(tmp_path: Path) -> Path:
    """Things that the shipped checkpoint knows."""
    for index in range(150):
        if (shape := scene_at(7, "test", index).shape) in ("tree", "car"):
            (tmp_path / shape).mkdir(exist_ok=True)
            Image.fromarray(render(7, "test", index)).save(tmp_path / shape / f"{index}.png")
    return tmp_path


def at_temperature(temperature: float | None) -> Checkpoint:
    shipped = load_checkpoint(SHIPPED)
    calibration = Calibration(temperature=temperature)
    return replace(shipped, metadata=shipped.metadata.model_copy(update={"calibration": calibration}))


def test_scores_are_as_far_off_as_the_checkpoints_own_temperature_makes_them(trees_and_cars: Path) -> None:
    sure, undecided = (
        measure(at_temperature(1.0), trees_and_cars, []),
        measure(at_temperature(1000), trees_and_cars, []),
    )
    assert sure.unseen_wording == undecided.unseen_wording > 0.95
    assert sure.calibration_errors[NEW] < 0.05
    assert undecided.calibration_errors == {NEW: pytest.approx(undecided.unseen_wording - 0.5, abs=0.01)}


def test_where_images_have_sentences_the_one_that_fits_best_is_to_be_their_own(trees_and_cars: Path) -> None:
    images = sorted(trees_and_cars.glob("*/*.png"))
    assert measure(at_temperature(None), trees_and_cars, []).own_sentence is None

    def own_sentence(says: dict[str, str]) -> float:
        rows = [
            {
                "image": str(image.relative_to(trees_and_cars)),
                "label": image.parent.name,
                "captions": [says[image.parent.name], f"a drawing of {says[image.parent.name]}"],
            }
            for image in images
        ]
        (trees_and_cars / "metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        found = measure(at_temperature(None), trees_and_cars, []).own_sentence
        assert found is not None
        return found

    assert own_sentence({"tree": "a tree", "car": "a car"}) > 0.95
    assert own_sentence({"tree": "a car", "car": "a tree"}) < 0.05


def test_without_a_temperature_they_are_not_judged(trees_and_cars: Path) -> None:
    assert measure(at_temperature(None), trees_and_cars, []).calibration_errors == {}
