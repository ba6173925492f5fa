"""A reference set beside a run's own images."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from contract.metrics import REFERENCE_TASK, Metrics
from contract.reports import Report
from lambdas.gate.verdict import judge
from model.clip.folder import load_metadata
from model.data.batch import Batch
from model.data.reference import ReferenceImages, read_reference
from model.evaluation.agreement import agreement
from model.evaluation.vocabulary import KINDS
from model.training.job import main
from model.training.loop import Loop
from model.training.reference import FIRST_ROW, Referenced
from model.training.replay import Replay
from model.training.state import StateFolder
from model.world.examples import WorldExamples
from tests.model.conftest import tiny_processor
from tests.model.loops import QUICK, run_one_step
from tests.model.training.test_replay import CroppedLetters, Letters

WORLD = WorldExamples(images=100, captions_per_image=2, seed=0)


def fill(directory: Path, images: int = 60, seed: int = 7) -> Path:
    """Patterns of which nothing is said."""
    rng = np.random.default_rng(seed)
    directory.mkdir(parents=True)
    for number in range(images):
        pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 40)).save(directory / f"{number}.png")
    return directory


@pytest.fixture
def images(tmp_path: Path) -> ReferenceImages:
    folder = fill(tmp_path / "mine")
    return read_reference(folder, tiny_processor(), frozenset(), limit_bytes=0, folder=None, threads=1)


@pytest.fixture
def referenced_job(coloured_job: Path) -> Path:
    """The job of four colours with a reference channel."""
    fill(coloured_job / "input/data/reference")
    return coloured_job


def test_a_quarter_of_a_batch_is_of_the_reference_set_and_nothing_is_said_of_it(images: ReferenceImages) -> None:
    batch = Referenced(Letters(), images, 0.25, 0, 1.0).batch(3, 8)
    alone = Letters().batch(3, 6)
    assert (batch.rows, batch.texts, batch.known) == (alone.rows, alone.texts, None)
    assert torch.equal(batch.positives, alone.positives)
    assert len(batch.reference) == 2 and all(row >= FIRST_ROW for row in batch.reference)


def test_replay_goes_on_in_what_is_left_of_a_batch(images: ReferenceImages) -> None:
    mixed = Referenced(Replay(Letters(), WORLD, 0.5), images, 0.25, 0, 0.9)
    batch, replay = mixed.batch(3, 16), Replay(Letters(), WORLD, 0.5).batch(3, 12)
    assert (batch.rows, batch.texts) == (replay.rows, replay.texts) and len(batch.reference) == 4
    assert batch.crops is not None and batch.crops[:12] == (None,) * 12 and None not in batch.crops[12:]
    assert [mixed.image(row).size for row in batch.rows] == [(8, 8)] * 6 + [(64, 64)] * 6


def test_its_images_are_cropped_as_new_ones_are(images: ReferenceImages) -> None:
    batch = Referenced(CroppedLetters(), images, 0.25, 0, 0.9).batch(3, 8)
    assert batch.crops is not None and batch.crops[:6] == CroppedLetters().batch(3, 6).crops
    assert all(crop is not None and crop.height * crop.width >= 0.89 for crop in batch.crops[6:])
    whole = Referenced(CroppedLetters(), images, 0.25, 0, 1.0).batch(3, 8)
    assert whole.crops is not None and whole.crops[6:] == (None, None)


def test_every_image_that_is_not_kept_back_comes_once_in_an_epoch_of_them(images: ReferenceImages) -> None:
    mixed = Referenced(Letters(), images, 0.5, 0, 1.0)
    rows = [row for step in range(6) for row in mixed.batch(step, 10).reference]
    assert sorted(rows) == [FIRST_ROW + place for place in range(len(images.learnt))]
    assert not {*rows} & {*mixed.kept_back_rows} and len(mixed.kept_back_rows) == len(images.kept_back) == 30


def test_a_batch_depends_on_its_step_alone(images: ReferenceImages) -> None:
    first, again = (Referenced(Letters(), images, 0.5, 0, 0.9).batch(5, 8) for _ in range(2))
    assert (first.rows, first.reference, first.crops) == (again.rows, again.reference, again.crops)
    assert first.reference != Referenced(Letters(), images, 0.5, 0, 0.9).batch(6, 8).reference


def test_without_a_share_batches_are_what_they_were(images: ReferenceImages) -> None:
    batch = Referenced(CroppedLetters(), images, 0.0, 0, 0.9).batch(3, 8)
    assert (batch.rows, batch.crops, batch.reference) == (*rows_and_crops(CroppedLetters().batch(3, 8)), ())


def rows_and_crops(batch: Batch) -> tuple[object, object]:
    return batch.rows, batch.crops


@pytest.mark.usefixtures("patterned", "referenced_job")
@pytest.mark.parametrize("loss", ["infonce", "sigmoid"])
def test_the_loss_over_texts_is_what_it_is_without_them(loop_of: Callable[..., Loop], loss: str) -> None:
    """The same batch by hand, with and without its reference images, where nothing is distilled."""
    loop = loop_of(loss=loss, reference_share=0.5, reference_weight=0)
    batch, pixels = loop.prefetcher.read(0, 8)
    assert loop.teacher is None and len(batch.rows) == len(batch.reference) == 4 and len(pixels) == 8
    found = loop.gradients(batch, pixels, False)
    gradients = [weight.grad.clone() for weight in loop.learning if weight.grad is not None]
    loop._forget_gradients()
    alone = Batch(batch.rows, batch.texts, batch.positives, batch.known, batch.crops and batch.crops[:4])
    assert torch.equal(loop.gradients(alone, pixels[:4], False), found)
    again = [weight.grad for weight in loop.learning if weight.grad is not None]
    assert gradients and all(torch.allclose(a, b, atol=1e-6) for a, b in zip(gradients, again, strict=True))


@pytest.mark.usefixtures("patterned")
def test_saved_tasks_are_kept_in_the_steps_and_counted_in_the_end(
    loop_of: Callable[..., Loop], referenced_job: Path
) -> None:
    line = json.dumps({"name": "time", "question": {"candidate_labels": "noon, midnight"}})
    (referenced_job / "input/data/reference/tasks.jsonl").write_text(line)
    loop = loop_of(reference_share=0.5)
    asked = [f"This is a photo of {label}." for label in ("noon", "midnight")]
    assert loop.teacher is not None
    *_, own = loop.teacher.asked(0, ()).questions
    assert sorted(loop.teacher.asked(0, ()).texts[place] for place in own) == sorted(asked)
    base = loop.reference_answers(loop.clip(), None)
    assert base is not None and base.targets.shape == (30, len(KINDS) + 1)


@pytest.mark.usefixtures("patterned", "referenced_job")
@pytest.mark.parametrize("kept", ["distillation_weight", "reference_weight"])
def test_teacher_and_student_see_the_same_crop(loop_of: Callable[..., Loop], kept: str) -> None:
    """Before the first step both are the base, and answer alike what they see alike."""
    losses = []
    for weight in (0.0, 50.0):
        loop = loop_of(**{"reference_share": 0.5, "reference_weight": 0, "crop_area_min": 0.5, kept: weight})
        batch, pixels = loop.prefetcher.read(0, 8)
        assert batch.crops is not None and len(batch.crops) == 8 and (loop.teacher is None) == (weight == 0)
        losses.append(float(loop.gradients(batch, pixels, False)))
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("referenced_job")
def test_the_answers_to_images_that_were_never_trained_on_move_less_than_without(loop_of: Callable[..., Loop]) -> None:
    moved = []
    for weight in (0.0, 10.0):
        loop = loop_of(reference_share=0.5, reference_weight=weight, ema_decay=0)
        before = loop.reference_answers(loop.clip(), None)
        for _ in range(24):
            loop.take_step()
        after = loop.reference_answers(loop.clip(), before)
        assert before is not None and after is not None and len(before.cosines) == 30
        moved.append(agreement(before, after, (10.0, 10.0)).variation)
    assert moved[1] < 0.8 * moved[0]


@pytest.mark.usefixtures("patterned", "referenced_job")
def test_a_run_that_goes_on_is_bit_equal_to_one_that_was_never_stopped(loop_of: Callable[..., Loop]) -> None:
    whole, first, second = loop_of(), loop_of(), loop_of(threads=3, kept_pixels_bytes=0)
    without = loop_of(reference_share=0)
    for _ in range(6):
        whole.take_step()
        without.take_step()
    for _ in range(3):
        first.take_step()
    second.resume((first.step, first.state()))
    for _ in range(3):
        second.take_step()
    ours, resumed, others = ([*loop.model.parameters()] for loop in (whole, second, without))
    assert all(torch.equal(a, b) for a, b in zip(ours, resumed, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(ours, others, strict=True)), "it changes nothing"


def test_a_run_is_not_gone_on_with_other_reference_images(referenced_job: Path) -> None:
    run_one_step()
    fill(referenced_job / "others", seed=8).rename(referenced_job / "input/data/reference/more")
    assert main(["steps=2"]) == 1
    assert "belongs to a run with other" in (referenced_job / "output/failure").read_text()


def test_a_reference_set_needs_a_base(referenced_job: Path) -> None:
    assert main(["init=scratch"]) == 1
    assert "a reference set keeps a base's answers" in (referenced_job / "output/failure").read_text()
    assert StateFolder(referenced_job / "checkpoints", "", force=True).newest() is None


def test_a_finished_run_tells_the_agreement_and_the_gate_holds_it_to_the_limits(
    coloured_job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a terminal, with images of which one can't be read and one is of the dataset."""
    mine = fill(coloured_job / "mine")
    (mine / "broken.jpg").write_bytes(b"no image")
    (mine / "own.png").write_bytes((coloured_job / "input/data/train/5.png").read_bytes())
    told = [f"{name}={value}" for name, value in {**QUICK, "max_forgetting": 1, "max_task_forgetting": 1}.items()]
    assert main(["--reference", str(mine), *told]) == 0
    printed = capsys.readouterr().out
    assert "reference: 30 images to keep the base's answers on, 30 others to measure that on" in printed
    assert "reference: left out: 1 images that the dataset has, too" in printed and "broken.jpg" in printed
    found = load_metadata(coloured_job / "model").metrics
    metrics = Metrics.of(found)
    reference, interpolation = metrics.reference, metrics.interpolation
    assert reference is not None and (reference.learnt, reference.images) == (30, 30)
    assert (reference.unreadable, reference.of_dataset) == (1, 1) and reference.agreement is not None
    assert reference.agreement_at_least is not None and reference.agreement_at_least < reference.agreement
    assert interpolation is not None and interpolation.frontier is not None
    drops = {point.alpha: (point.drop or {})[REFERENCE_TASK] for point in interpolation.frontier}
    assert drops[0] == 0 and drops[interpolation.alpha] == pytest.approx(1 - reference.agreement, abs=1e-3)
    assert drops[1] > 0.2, "the quick run is to drift, or this test shows nothing"
    gate = judge(found)
    assert gate.figures["old_tasks"] == 1 and gate.figures["worst_task"] == REFERENCE_TASK
    assert gate.figures["reference_agreement"] == reference.agreement
    card = (coloured_job / "model/README.md").read_text()
    assert "On a reference set of images: 30 were trained on" in card and REFERENCE_TASK in card
    report = Report.model_validate_json((coloured_job / "model/report.json").read_bytes())
    assert report.reference is not None and report.reference.agreement == reference.agreement
    assert (
        "of its answers to 30 reference images are its base&#x27;s" in (coloured_job / "model/report.html").read_text()
    )


@pytest.mark.slow
def test_weights_that_drifted_further_than_is_allowed_are_not_published(coloured_job: Path) -> None:
    mine = fill(coloured_job / "mine")
    told = [f"{name}={value}" for name, value in {**QUICK, "reference_share": 0}.items()]
    assert main(["--reference", str(mine), *told]) == 0
    metrics = Metrics.of(load_metadata(coloured_job / "model").metrics)
    assert metrics.interpolation is not None and metrics.interpolation.alpha == 0
    assert metrics.reference is not None and metrics.reference.agreement == 1


def test_where_no_image_can_be_used_it_is_trained_all_the_same_and_the_gate_says_so(coloured_job: Path) -> None:
    mine = coloured_job / "mine"
    mine.mkdir()
    (mine / "broken.jpg").write_bytes(b"no image")
    told = [f"{name}={value}" for name, value in {**QUICK, "steps": 2}.items()]
    assert main(["--reference", str(mine), *told]) == 0
    found = load_metadata(coloured_job / "model").metrics
    reference = Metrics.of(found).reference
    assert reference is not None and (reference.images, reference.unreadable, reference.agreement) == (0, 1, None)
    assert any("none of them could be used" in reason for reason in judge(found).reasons)


def test_digests_are_of_what_is_trained_on(images: ReferenceImages) -> None:
    mixed = Referenced(Letters(), images, 0.5, 0, 1.0)
    assert mixed.digest() != Referenced(Letters(), images, 0.25, 0, 1.0).digest() != Letters().digest()
    assert mixed.digest() == sha256(f"letters {images.digest()} 0.5".encode()).hexdigest()
    assert mixed.sentences() == Letters().sentences() and mixed.validation().rows == Letters().validation().rows
