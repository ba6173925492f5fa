"""Images that were labelled before a run, as old tasks of it."""

import json
import os
import shutil
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import pytest
import torch

from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from contract.metrics import Metrics
from contract.reports import Report
from contract.trainings import MAX_OLD_SETS
from lambdas.gate.verdict import judge
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.folder import load_metadata
from model.evaluation.answers import Answers
from model.evaluation.bootstrap import CONFIDENCE, Judged, losses
from model.training.interpolate import Candidate, Drop, select
from model.training.job import main
from model.training.old import OldImages, hold, read_old
from model.training.start import load_start
from tests.model.conftest import tiny_processor
from tests.model.loops import ALONE, QUICK
from tests.model.training.test_reference import fill

LABELS = ("red", "green")
WORDS = ("red", "green", "blue", "white", "circle", "square", "house", "fish")
LIMITS = (0.02, 0.1)


def label(folder: Path, labels: list[str], task: str = "hue of walls", splits: tuple[str, ...] = ("test",)) -> Path:
    """Say of the images 0.png, 1.png, … what they are."""
    lines = [
        {"image": f"{number}.png", "split": splits[number % len(splits)], "labels": {task: label}}
        for number, label in enumerate(labels)
    ]
    (folder / "old.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def read(folder: Path, trained: frozenset[str] = frozenset()) -> OldImages:
    return read_old(folder, tiny_processor(), trained, limit_bytes=10**9, folder=None, threads=1)


def known_to(checkpoint: Path, folder: Path, images: int) -> Path:
    """Patterns that are called what a checkpoint calls them, so that it is always right: by those two of some words
    between which it is most undecided.
    """
    fill(folder, images)
    found = read(label(folder, [WORDS[number % len(WORDS)] for number in range(images)]))
    (said,) = found.answers(Clip(load_checkpoint(checkpoint))).values()
    pairs = [said.cosines[:, pair].argmax(dim=1) for pair in combinations(range(len(WORDS)), 2)]
    first = max(pairs, key=lambda best: min(int(best.sum()), images - int(best.sum())))
    words = [*combinations(found.tasks[0].labels, 2)][next(n for n, best in enumerate(pairs) if best is first)]
    best = {record.image: words[int(place)] for record, place in zip(found.records, first, strict=True)}
    return label(folder, [best[f"{number}.png"] for number in range(images)])


def answers(right: int, images: int, first_row: int = 0, labels: int = 2) -> Answers:
    """Of which so many are right."""
    cosines = torch.zeros(images, labels)
    cosines[:right, 0], cosines[right:, 1] = 1, 1
    return Answers(cosines, torch.zeros(images, dtype=torch.long), torch.arange(first_row, first_row + images))


def test_what_is_kept_back_is_asked_and_what_is_trained_on_or_can_not_be_read_is_not(tmp_path: Path) -> None:
    folder = label(fill(tmp_path / "old", 12), [*LABELS] * 6, splits=("train", "test", "validation"))
    (folder / "2.png").write_bytes(b"no image")
    trained = frozenset({sha256((folder / "4.png").read_bytes()).hexdigest()})
    found = read(folder, trained)
    assert {record.image for record in found.records} == {f"{number}.png" for number in (1, 5, 7, 8, 10, 11)}
    assert (found.unreadable, found.trained) == (1, 1)
    assert [task.name for task in found.tasks] == ["hue of walls"] and found.tasks[0].labels == ("green", "red")


def test_where_nothing_is_kept_back_all_is_asked(tmp_path: Path) -> None:
    folder = fill(tmp_path / "old", 4)
    for number in range(4):
        (folder / LABELS[number % 2]).mkdir(exist_ok=True)
        (folder / f"{number}.png").rename(folder / LABELS[number % 2] / f"{number}.png")
    assert len(read(folder).records) == 4


def test_no_task_is_called_as_one_of_the_rendered_world(tmp_path: Path, checkpoint_dir: Path) -> None:
    folder = label(fill(tmp_path / "old", 6), [*LABELS] * 3, task="colour")
    said = read(folder).answers(Clip(load_checkpoint(checkpoint_dir)), first_row=100)
    assert [*said] == ["colour of old images"]
    assert said["colour of old images"].rows.tolist() == [*range(100, 106)]


def test_the_limits_hold_for_a_set_that_can_show_that_they_are_kept() -> None:
    world: dict[str, Judged] = {"shape": answers(900, 1000)}
    held = hold(world, {"large": answers(190, 200, 1000), "small": answers(10, 10, 1200)}, *LIMITS)
    assert ([*held.counted], [*held.told], held.in_mean) == (["large"], ["small"], True)
    assert held.reasons == {
        "small": "10 images are too few to show that a loss is within 0.1: if one answer is lost, it may be up to "
        "0.33; only a loss that is sure to be larger counts"
    }


def test_what_the_base_does_not_know_it_can_not_forget() -> None:
    held = hold({}, {"guessed": answers(55, 100)}, *LIMITS)
    assert not held.counted and not held.told
    assert held.reasons["guessed"].startswith("its base gets 55% of these images right, where guessing gets 50%")


def test_a_set_that_is_too_small_for_the_mean_keeps_the_limit_of_its_own() -> None:
    old = {"field": answers(60, 60)}
    assert not hold({}, old, *LIMITS).in_mean and [*hold({}, old, *LIMITS).counted] == ["field"]
    world: dict[str, Judged] = {str(number): answers(900, 1000, 60) for number in range(8)}
    assert hold(world, old, *LIMITS).in_mean


@pytest.mark.parametrize("images", [1, 5, 12, 20, 30, 60, 100, 300])
@pytest.mark.parametrize("tasks", [0, 1, 8])
def test_no_set_is_so_small_that_nothing_could_be_published(images: int, tasks: int) -> None:
    """Another answer to one image is within the limits, whatever else is measured."""
    world: dict[str, Judged] = {str(number): answers(3500, 4000, images) for number in range(tasks)}
    old = {"field": answers(images, images)}
    held = hold(world, old, *LIMITS)
    assert [*held.counted] == (["field"] if images >= 60 else [])
    assert {*held.counted, *held.told} == {"field"} and (tasks or held.in_mean or images < 300)
    but_one: dict[str, Judged] = {**world, "field": answers(images - 1, images)}
    _, resampled = losses({**world, **old}, but_one)
    low, high = resampled[:, -1].quantile(torch.tensor([1 - CONFIDENCE, CONFIDENCE])).tolist()
    assert high <= LIMITS[1] if held.counted else low <= LIMITS[1]


def test_a_sure_loss_of_a_small_set_is_not_published_and_one_that_may_be_luck_is() -> None:
    nothing = Drop({}, 0.0)
    base = Candidate(0.0, 0.1, nothing, nothing)
    sure, luck = (Candidate(1.0, 0.9, nothing, nothing, {"small": lost}) for lost in (0.11, 0.09))
    assert select([base, sure], *LIMITS) is base and select([base, luck], *LIMITS) is luck


@pytest.mark.slow
def test_a_mixture_that_loses_what_was_labelled_before_is_not_published(
    coloured_job: Path, checkpoint_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a terminal, and started again with limits that allow everything."""
    old = known_to(checkpoint_dir, coloured_job / "old", 60)
    told = [f"{name}={value}" for name, value in QUICK.items()]
    assert main(["--old", str(old), *told]) == 0
    assert "old: 60 images that were labelled before: hue of walls" in capsys.readouterr().out
    kept = Metrics.of(load_metadata(coloured_job / "model").metrics)
    assert kept.interpolation is not None and kept.interpolation.alpha == 0
    assert kept.old is not None and kept.old_before is not None
    assert kept.old["hue of walls"].accuracy == kept.old_before["hue of walls"].accuracy == 1
    assert main(["--old", str(old), *told, "max_forgetting=1", "max_task_forgetting=1"]) == 0
    found = load_metadata(coloured_job / "model").metrics
    metrics = Metrics.of(found)
    interpolation, old_tasks = metrics.interpolation, metrics.old
    assert interpolation is not None and interpolation.alpha and interpolation.frontier and old_tasks
    drops = {point.alpha: (point.drop or {})["hue of walls"] for point in interpolation.frontier}
    assert drops[1] > 0.1, "the quick run is to forget, or this test shows nothing"
    after = old_tasks["hue of walls"].accuracy
    assert after is not None and drops[interpolation.alpha] == pytest.approx(1 - after, abs=1e-3)
    gate = judge(found)
    assert gate.figures["labelled_before"] == {"hue of walls": {"before": 1.0, "after": after, "images": 60}}
    assert (gate.figures["old_tasks"], gate.figures["worst_task"]) == (1, "hue of walls")
    assert "On images that were labelled before" in (coloured_job / "model/README.md").read_text()
    report = Report.model_validate_json((coloured_job / "model/report.json").read_bytes())
    (task,) = (task for task in report.tasks if task.kind == "labelled")
    assert (task.name, task.before, task.after, task.no_limit) == ("hue of walls", 1, after, None)
    assert "Old: on images that were labelled before" in (coloured_job / "model/report.html").read_text()


def test_a_set_that_is_too_small_is_told_with_the_reason_and_stops_nothing(
    coloured_job: Path, checkpoint_dir: Path
) -> None:
    """As SageMaker mounts it; the rate is so low that no answer changes."""
    old = known_to(checkpoint_dir, coloured_job / "few", 8)
    shutil.move(old, coloured_job / "input/data/old")
    told = {**QUICK, "steps": 2, "learning_rate": 1e-9, "max_forgetting": 0, "max_task_forgetting": 0}
    assert main([f"{name}={value}" for name, value in told.items()]) == 0
    metrics = Metrics.of(load_metadata(coloured_job / "model").metrics)
    assert metrics.interpolation is not None and metrics.interpolation.frontier is not None
    assert metrics.old_reasons is not None and "8 images are too few" in metrics.old_reasons["hue of walls"]
    assert all(point.worst_drop_at_most == 0 for point in metrics.interpolation.frontier), "no limit holds for it"
    for name in ("README.md", "report.html"):
        assert "8 images are too few" in (coloured_job / "model" / name).read_text()


@pytest.mark.parametrize("wrong", [{"init": "scratch"}, {"data": "world", "world_images": 100}, {}])
def test_what_is_wrong_with_a_channel_that_nobody_asked_for_is_told_and_the_run_goes_on(
    coloured_job: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, object]
) -> None:
    fill(coloured_job / "input/data/old", 2)
    start = load_start(TrainSettings.from_env(os.environ), Hyperparameters.model_validate(wrong), ALONE)
    assert start.old is None
    assert "old: nothing that was labelled before is asked: " in capsys.readouterr().out


def test_of_many_tasks_the_largest_are_asked(tmp_path: Path) -> None:
    folder = fill(tmp_path / "old", 6)
    lines = [
        {"image": f"{number}.png", "labels": {f"task {task}": LABELS[number % 2]}}
        for task in range(MAX_OLD_SETS + 6)
        for number in range(2 if task < 6 else 4)
    ]
    lines += [{"image": f"{number}.png", "labels": {"small": LABELS[number % 2]}} for number in (4, 5)]
    (folder / "old.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = read(folder)
    assert {task.name for task in found.tasks} == {f"task {6 + number}" for number in range(MAX_OLD_SETS)}
    assert {record.image for record in found.records} == {f"{number}.png" for number in range(4)}


def test_a_folder_without_a_dataset_is_a_fault_that_is_told_before_training(coloured_job: Path) -> None:
    assert main(["--old", str(coloured_job / "nowhere")]) == 1
    assert "holds no dataset" in (coloured_job / "output/failure").read_text()
    assert main(["--old", str(fill(coloured_job / "old", 2)), "init=scratch"]) == 1
    assert "tell what a base forgets: set init=base" in (coloured_job / "output/failure").read_text()
