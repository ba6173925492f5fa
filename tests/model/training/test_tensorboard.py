"""What TensorBoard finds."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model.training.tensorboard import Scalars


def test_the_event_file_holds_every_figure_by_its_step_while_the_run_goes_on(tmp_path: Path) -> None:
    scalars = Scalars(tmp_path / "output/tensorboard")
    for step, loss in ((10, 1.5), (20, 0.5)):
        scalars.add("train", step, {"loss": loss, "images_per_s": 100.0})
    scalars.add("validation", 20, {"validation_accuracy": 0.75})
    events = EventAccumulator(str(tmp_path / "output/tensorboard")).Reload()
    scalars.close()
    assert set(events.Tags()["scalars"]) == {"train/loss", "train/images_per_s", "validation/accuracy"}
    assert [(each.step, each.value) for each in events.Scalars("train/loss")] == [(10, 1.5), (20, 0.5)]
    assert events.Scalars("validation/accuracy")[0].value == pytest.approx(0.75)
