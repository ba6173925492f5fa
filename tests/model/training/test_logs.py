"""Log lines, and the expressions that SageMaker reads them with; what TensorBoard finds."""

import os
import re
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from contract.trainings import METRIC_DEFINITIONS
from model.evaluation.report import print_figures
from model.training.logs import Progress, add_to_curves


def found(line: str) -> dict[str, float]:
    matches = {name: re.search(pattern, line) for name, pattern in METRIC_DEFINITIONS.items()}
    return {name: float(match.group(1)) for name, match in matches.items() if match}


def test_every_training_metric_is_found_in_a_training_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(steps=100)
    progress.add(1.5, images=64, waited_s=0.0)
    progress.add(0.5, images=64, waited_s=0.0)
    progress.report(step=10, learning_rate=1e-5, logit_scale=14.25)
    metrics = found(capsys.readouterr().out)
    assert metrics["train:loss"] == 1.0 and metrics["train:logit_scale"] == 14.25
    assert metrics["train:step"] == 10
    assert metrics.keys() == {name for name in METRIC_DEFINITIONS if name.startswith("train:")} - {"train:steps"}


def test_how_many_steps_a_run_takes_is_found_in_its_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_figures(run="0123abcd", images=40, steps=300, first_step=7)
    assert found(capsys.readouterr().out) == {"train:steps": 300}


def test_every_validation_metric_is_found_in_a_validation_line_and_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_figures(step=10, validation_loss=0.25, validation_accuracy=0.5)
    metrics = found(capsys.readouterr().out)
    assert metrics == {"train:step": 10, "validation:loss": 0.25, "validation:accuracy": 0.5}


def test_at_a_terminal_a_person_reads_how_fast_it_goes_and_how_long_it_will_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = os.openpty()
    with os.fdopen(ends[0]) as ours, os.fdopen(ends[1], "w") as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        progress = Progress(steps=1000)
        progress.add(0.5, images=64, waited_s=0.0)
        progress.report(step=250, learning_rate=1e-5, logit_scale=14.25)
        line = os.read(ours.fileno(), 1000).decode().strip()
    assert re.fullmatch(r"25%  step 250 of 1,000  loss 0\.500  [\d,]+ images/s  \d+:\d\d left", line)


def test_the_event_file_holds_every_figure_by_its_step_while_the_run_goes_on(tmp_path: Path) -> None:
    tensorboard = SummaryWriter(str(tmp_path / "output/tensorboard"))
    for step, loss in ((10, 1.5), (20, 0.5)):
        add_to_curves(tensorboard, "train", step, {"loss": loss, "images_per_s": 100.0})
    add_to_curves(tensorboard, "validation", 20, {"validation_accuracy": 0.75})
    events = EventAccumulator(str(tmp_path / "output/tensorboard")).Reload()
    tensorboard.close()
    assert set(events.Tags()["scalars"]) == {"train/loss", "train/images_per_s", "validation/accuracy"}
    assert [(each.step, each.value) for each in events.Scalars("train/loss")] == [(10, 1.5), (20, 0.5)]
    assert events.Scalars("validation/accuracy")[0].value == pytest.approx(0.75)
