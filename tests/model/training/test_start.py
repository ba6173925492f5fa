"""What a run begins with."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from contract.checkpoints import CheckpointMetadata
from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from model.data.examples import ManifestExamples
from model.training.loop import Loop
from model.training.recipe import PAIR_SHARE
from model.training.replay import Replay
from model.training.start import Start, load_base, load_channel, load_start, prepare
from model.world.examples import WorldExamples
from tests.model.loops import ALONE


def begin(**values: object) -> Start:
    return load_start(TrainSettings.from_env(os.environ), Hyperparameters.model_validate(values), ALONE)


@pytest.mark.usefixtures("coloured_job")
def test_the_examples_are_the_channel_the_world_or_both() -> None:
    assert isinstance(begin().examples, ManifestExamples)
    rendered, mixed = begin(data="world", world_images=100).examples, begin(replay_share=0.5).examples
    assert isinstance(rendered, WorldExamples) and len(rendered) == 100
    assert isinstance(mixed, Replay) and len(mixed) == 2 * len(begin().examples)


@pytest.mark.usefixtures("coloured_job")
def test_a_base_that_knows_pairs_of_the_world_is_shown_them_again() -> None:
    settings, asked = TrainSettings.from_env(os.environ), Hyperparameters(world_images=100)
    base = load_base(settings, asked)
    assert base is not None
    metrics = {"hyperparameters": {"data": "world"}, "pair_share": 0.05}
    base = replace(base, metadata=CheckpointMetadata(version="world-1", metrics=metrics))
    mixed = prepare(asked, base, load_channel(settings, asked, base), ALONE).examples
    assert isinstance(mixed, Replay) and isinstance(mixed.old, WorldExamples)
    assert mixed.old.pairs == 100 * PAIR_SHARE


@pytest.mark.usefixtures("coloured_job")
def test_from_scratch_the_vocabulary_is_the_datas_own() -> None:
    start = begin(init="scratch")
    assert start.recipe.parent is None
    assert start.checkpoint.tokenizer.tokenize("white one") == ["white</w>", "one</w>"]


def test_a_mounted_base_channel_needs_no_environment(coloured_job: Path, calibrated_checkpoint_dir: Path) -> None:
    assert begin().recipe.parent == "tiny-1"
    shutil.copytree(calibrated_checkpoint_dir, coloured_job / "input/data/base")
    assert begin().recipe.parent == "tiny-2"


@pytest.mark.usefixtures("coloured_job")
def test_a_base_channel_takes_the_place_of_the_images_own_base(
    calibrated_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SM_CHANNEL_BASE", str(calibrated_checkpoint_dir))
    assert begin().recipe.parent == "tiny-2"


def test_a_few_unreadable_images_are_left_out_and_listed(coloured_job: Path, loop_of: Callable[..., Loop]) -> None:
    (coloured_job / "input/data/train/7.png").write_bytes(b"")
    assert loop_of(max_unreadable_share=0.05).recipe.images == 35
    (line,) = (coloured_job / "output/data/quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["image"] == "7.png"


def test_rows_that_can_not_be_taken_are_listed_and_told_and_the_rest_is_trained_on(
    coloured_job: Path, loop_of: Callable[..., Loop], capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = coloured_job / "input/data/train/manifest.jsonl"
    bad = ['{"image": "0.png", "captions": ""}', '{"image": "1.png", "captions": "half \\ud83d"}']
    manifest.write_text("\n".join([*bad, *manifest.read_text().splitlines()]))
    (coloured_job / "input/data/train/notes.csv").write_text("date,who\n")
    assert loop_of().recipe.images == 36
    listed = [json.loads(line) for line in (coloured_job / "output/data/quarantine.jsonl").read_text().splitlines()]
    assert [each["place"] for each in listed] == ["manifest.jsonl line 1", "manifest.jsonl line 2"]
    told = capsys.readouterr().out
    assert "data: JSON Lines, 40 images" in told and "data: manifest.jsonl line 1: captions: is empty" in told
    assert "data: left out: 1 because notes.csv names no images" in told


@pytest.mark.usefixtures("coloured_job")
def test_the_digest_is_of_what_decides_the_weights() -> None:
    digest = begin().digest()
    assert begin(chunk_size=3, evaluation_scenes=100, max_forgetting=0.5).digest() == digest
    others = [begin(**values).digest() for values in ({"seed": 1}, {"replay_share": 0.5}, {"learning_rate": 2e-4})]
    assert len({digest, *others}) == 4
