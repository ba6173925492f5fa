"""The visual projection alone: what changes, what it learns, and what holds it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cosine_similarity

from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from contract.metrics import Metrics
from model.clip.checkpoint import load_checkpoint
from model.clip.folder import CheckpointError
from model.training.job import loop_of as loop_for
from model.training.job import main
from model.training.loop import Loop
from model.training.projection import Kept, ProjectionLoop, old_rows, projected
from model.training.start import load_start
from model.training.state import StateFolder
from tests.model.loops import ALONE, QUICK, build_loop, tell
from tests.model.training.test_reference import fill

LEARNING = {"strategy": "projection", "steps": 60, "projection_weight": 0.1, "learning_rate": None}


@pytest.fixture
def begun(coloured_job: Path) -> Iterator[Callable[..., ProjectionLoop]]:
    """Loops of the job that teaches four colours, in which the projection alone learns."""
    loops: list[Loop] = []

    def begin(**values: object) -> ProjectionLoop:
        asked = Hyperparameters.model_validate({**QUICK, **LEARNING, **values})
        loop = loop_for(load_start(TrainSettings.from_env(os.environ), asked, ALONE), ALONE)
        assert isinstance(loop, ProjectionLoop)
        loops.append(loop)
        return loop

    yield begin
    for loop in loops:
        loop.prefetcher.close()


def weights_of(loop: Loop) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in loop.averaged.state_dict().items()}


def test_the_projection_learns_what_the_base_can_not_do_and_all_else_is_bit_equal(
    begun: Callable[..., ProjectionLoop],
) -> None:
    loop = begun()
    before, base = loop.validate(), weights_of(loop)
    losses = [loop.take_step() for _ in range(loop.recipe.steps)]
    after, learnt = loop.validate(), weights_of(loop)
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])
    assert before["validation_accuracy"] < 1 and after["validation_accuracy"] == 1
    assert after["validation_loss"] < before["validation_loss"]
    assert {name for name in base if not torch.equal(base[name], learnt[name])} == {"visual_projection.weight"}


def test_a_large_weight_leaves_the_base(begun: Callable[..., ProjectionLoop]) -> None:
    def moved(weight: float) -> float:
        loop = begun(projection_weight=weight)
        base = weights_of(loop)["visual_projection.weight"]
        for _ in range(loop.recipe.steps):
            loop.take_step()
        return float(Kept.of(base, None).distance(weights_of(loop)["visual_projection.weight"]))

    assert moved(1e6) < 0.01 * moved(0.0)


def test_what_old_images_are_projected_to_is_held_and_the_rest_is_free() -> None:
    base, old = torch.eye(2), torch.tensor([[1.0, 0.0]])
    kept = Kept.of(base, old)
    along, aside = (base + torch.diag(torch.tensor(change)) for change in ((0.1, 0.0), (0.0, 0.1)))
    assert kept.distance(base) == 0
    assert kept.distance(aside) < 0.01 * kept.distance(along)
    alike = Kept.of(base, None)
    assert alike.distance(aside) == pytest.approx(float(alike.distance(along))) == pytest.approx(0.01 / 2)


def test_old_images_are_kept_where_the_world_is_replayed(begun: Callable[..., ProjectionLoop]) -> None:
    """By the same weight the new images move the projection, and what it makes of old ones stays what it was."""

    def drifted(replay_share: float) -> float:
        shown, loop = begun(replay_share=0.5), begun(replay_share=replay_share, projection_weight=1)
        base = weights_of(loop)["visual_projection.weight"]
        for _ in range(loop.recipe.steps):
            loop.take_step()
        features = shown.reader.features(old_rows(shown.examples)[:50])
        old, now = (projected(features, each) for each in (base, weights_of(loop)["visual_projection.weight"]))
        return 1 - float(cosine_similarity(old, now).mean())

    assert drifted(0.5) < 0.5 * drifted(0.0)


def test_a_resumed_run_ends_in_the_very_same_weights(coloured_job: Path, begun: Callable[..., ProjectionLoop]) -> None:
    whole, broken, resumed = (begun() for _ in range(3))
    for _ in range(12):
        whole.take_step()
    for _ in range(6):
        broken.take_step()
    states = StateFolder(coloured_job / "checkpoints", "run")
    states.save(broken.step, broken.state())
    resumed.resume(states.newest())
    for _ in range(6):
        resumed.take_step()
    ours, theirs = weights_of(whole), weights_of(resumed)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_no_copy_of_the_base_is_asked_where_a_reference_set_is_kept(
    coloured_job: Path, begun: Callable[..., ProjectionLoop]
) -> None:
    fill(coloured_job / "input/data/reference", 40)
    loop = begun()
    assert loop.reference is not None and loop.recipe.reference_share > 0 and loop.teacher is None


def test_a_siglip_has_none_and_says_what_is_allowed(
    coloured_job: Path, siglip_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any image is read: here there is none."""
    monkeypatch.setenv("SM_CHANNEL_BASE", str(siglip_dir))
    shutil.rmtree(coloured_job / "input/data/train")
    with pytest.raises(CheckpointError, match="strategy=full or auto, or start from a CLIP"):
        build_loop(ALONE, strategy="projection")


@pytest.mark.slow
def test_the_program_leaves_a_model_that_tells_the_colours_apart(coloured_job: Path, checkpoint_dir: Path) -> None:
    tell(
        coloured_job,
        {**QUICK, "strategy": "projection", "steps": "60", "projection_weight": "0.1", "learning_rate": "0.05"},
    )
    assert main() == 0
    checkpoint, base = load_checkpoint(coloured_job / "model"), load_checkpoint(checkpoint_dir)
    metrics = Metrics.of(checkpoint.metadata.metrics)
    assert metrics.interpolation is not None and metrics.interpolation.alpha and metrics.gain is not None
    assert metrics.after is not None and metrics.after.validation_accuracy == 1
    was, now = base.model.state_dict(), checkpoint.model.state_dict()
    assert {name for name in was if not torch.equal(was[name], now[name])} == {"visual_projection.weight"}
    assert (coloured_job / "model/report.html").is_file()
