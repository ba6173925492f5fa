"""Weights between the base and the tuned checkpoint, and how far is gone from the one to the other."""

import copy
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image

from contract.checkpoints import CheckpointMetadata
from contract.gain import ALPHAS, NO_GAIN_BELOW, UNRELATED_BELOW
from contract.metrics import FrontierPoint, Interpolation, Metrics
from lambdas.gate.verdict import judge
from model.clip.checkpoint import load_checkpoint
from model.clip.folder import load_metadata
from model.evaluation.answers import Answers
from model.evaluation.bootstrap import CONFIDENCE, losses
from model.training.interpolate import Candidate, Drop, as_metrics, mix, select
from model.training.job import main
from model.world.tasks import TASKS
from tests.model.conftest import tiny_model, tiny_tokenizer

SHIPPED = Path(__file__).resolve().parents[3] / "model/shipped"
QUICK = ["steps=12", "batch_size=8", "warmup_steps=0", "evaluation_scenes=100", "selection_scenes=120", "threads=1"]
KEEPS, LOSES = "0.01", "1"


def lay_out_shades(base_dir: Path) -> None:
    """A /opt/ml with two shades under made-up names, in folders, to be taught to the shipped checkpoint."""
    for number in range(24):
        name, shade = (("blicket", 90), ("dax", 160))[number % 2]
        split = ("train", "train", "validation", "test")[number // 2 % 4]
        folder = base_dir / "input/data/train" / split / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), (shade, shade - number, shade)).save(folder / f"{number}.png")


class Published(NamedTuple):
    """A finished run."""

    metadata: CheckpointMetadata
    metrics: Metrics
    card: str

    @property
    def interpolation(self) -> Interpolation:
        assert self.metrics.interpolation is not None
        return self.metrics.interpolation

    @property
    def frontier(self) -> dict[float | None, FrontierPoint]:
        return {point.alpha: point for point in self.interpolation.frontier or ()}


def published(base_dir: Path) -> Published:
    metadata = load_metadata(base_dir / "model")
    return Published(metadata, Metrics.of(metadata.metrics), (base_dir / "model/README.md").read_text())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Published]]:
    """One job, started again after its end with other limits of forgetting: by limit."""
    base_dir, found = tmp_path_factory.mktemp("shades"), {}
    lay_out_shades(base_dir)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SAGEMAKER_BASE_DIR", str(base_dir))
        environment.setenv("BASE_MODEL_DIR", str(SHIPPED))
        for limit in (KEEPS, LOSES):
            limits = [f"max_forgetting={limit}", f"max_task_forgetting={limit}"]
            assert main([*QUICK, "learning_rate=0.003", *limits]) == 0
            found[limit] = published(base_dir)
    yield found


NOTHING = Drop({"colour": 0.0, "shape": 0.0}, 0.0)
BASE = Candidate(0.0, new=0.1, lost=NOTHING, at_most=NOTHING)


def candidate(alpha: float, new: float, colour: float, shape: float) -> Candidate:
    """What is lost at two tasks, known without doubt."""
    lost = Drop({"colour": colour, "shape": shape}, (colour + shape) / 2)
    return Candidate(alpha, new, lost, lost)


def random_frontier(rng: random.Random) -> list[Candidate]:
    """Any losses at all, on grids as fine as a few dozen images make them, and any doubt."""
    grid, tasks = rng.choice((10, 50, 500)), [f"task{number}" for number in range(rng.randint(0, 6))]
    width = rng.choice((0.05, 0.3, 1.0))

    def at_random(alpha: float) -> Candidate:
        lost = {name: round(width * (rng.random() - 0.3) * grid) / grid for name in tasks}
        at_most = {name: loss + 0.1 * rng.random() for name, loss in lost.items()}
        first, second = (Drop(each, sum(each.values()) / max(1, len(each))) for each in (lost, at_most))
        surely = {f"small{number}": rng.random() * width - 0.1 for number in range(rng.randint(0, 2))}
        return Candidate(alpha, round(rng.random() * grid) / grid, first, second, surely)

    nothing = Drop(dict.fromkeys(tasks, 0.0), 0.0)
    return [Candidate(0.0, 0.5, nothing, nothing), *(at_random(alpha) for alpha in ALPHAS if alpha > 0)]


@pytest.mark.parametrize("seed", range(40))
def test_nothing_that_may_exceed_a_limit_is_ever_picked_and_nothing_better_within_them_is_missed(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        frontier = random_frontier(rng)
        rng.shuffle(frontier)
        mean, task = rng.choice((0.0, 0.02, 0.1)), rng.choice((0.0, 0.05, 0.2))
        picked = select(frontier, mean, task)
        at_most = picked.at_most.tasks.values()
        assert sum(at_most) <= (mean + 2e-6) * max(1, len(at_most)) and all(loss <= task + 2e-6 for loss in at_most)
        assert all(loss <= task + 2e-6 for loss in picked.surely_lost.values())
        assert picked.new >= 0.5
        for other in frontier:
            losses = (*other.at_most.tasks.values(), *other.surely_lost.values())
            if other.at_most.mean <= mean and all(loss <= task for loss in losses):
                assert picked.new >= other.new


def a_models_answers(right: torch.Tensor) -> Answers:
    """Of two labels the first is the right one; `right` bool [images]"""
    cosines = torch.stack([right.float(), 1 - right.float()], dim=1)
    return Answers(cosines, torch.zeros(len(right), dtype=torch.long), torch.arange(len(right)))


@pytest.mark.slow
def test_a_mixture_that_costs_more_than_is_allowed_is_published_less_than_once_in_twenty_times() -> None:
    torch.manual_seed(0)
    before, limit, times, published_by_estimate, published = 0.9, 0.05, 300, 0, 0
    for _ in range(times):
        base = torch.rand(400) < before
        after = base & (torch.rand(400) < 1 - 0.055 / before)  # costs .055 in truth
        said = {"count": a_models_answers(base)}
        lost, resampled = losses(said, {"count": a_models_answers(after)})
        published_by_estimate += float(lost[0]) <= limit
        at_most = Drop({"count": float(resampled.quantile(CONFIDENCE, dim=0)[0])}, 0.0)
        published += select([BASE, Candidate(1.0, 0.9, at_most, at_most)], 1.0, limit).alpha == 1
    assert published_by_estimate > 0.2 * times
    assert published < 0.05 * times


def test_the_largest_gain_within_both_limits_is_picked() -> None:
    frontier = [BASE, candidate(0.5, 0.6, 0.01, 0.01), candidate(0.75, 0.8, 0.02, 0.02), candidate(1.0, 0.9, 0.2, 0)]
    picked = select(frontier, 0.02, 0.05)
    assert picked.alpha == 0.75
    sentence = as_metrics(picked.alpha, frontier, 0.02, 0.05).sentence
    assert sentence is not None and sentence.startswith("Published are 75% fine-tuned and 25% base weights")


def test_a_small_mean_drop_does_not_excuse_a_task_that_is_lost() -> None:
    frontier = [BASE, candidate(0.5, 0.9, -0.1, 0.06)]
    assert frontier[1].lost.mean < 0 and frontier[1].lost.worst_task == "shape"
    assert select(frontier, 0.02, 0.05) is BASE
    assert select(frontier, 0.02, 0.06) is frontier[1]


def test_an_estimate_within_the_limit_does_not_do_where_more_may_be_lost() -> None:
    lost, at_most = Drop({"colour": 0.04}, 0.01), Drop({"colour": 0.07}, 0.015)
    assert select([BASE, Candidate(1.0, 0.9, lost, at_most)], 0.02, 0.05) is BASE


def test_a_drop_of_exactly_the_limit_is_allowed() -> None:
    single = struct.unpack("f", struct.pack("f", 0.02))[0]
    assert single != 0.02
    assert select([BASE, candidate(1.0, 0.9, single, single)], 0.02, 0.02).alpha == 1
    assert select([BASE, candidate(1.0, 0.9, 0.9 - 0.88, 0.02)], 0.02, 0.02).alpha == 1


def test_nothing_new_is_published_when_nothing_qualifies_or_nothing_is_gained() -> None:
    for other in (candidate(1.0, 0.9, 0.8, 0.7), candidate(1.0, 0.1, 0.0, 0.0), candidate(1.0, 0.05, -0.1, -0.2)):
        assert select([BASE, other], 0.02, 0.05) is BASE
        sentence = as_metrics(0.0, [BASE, other], 0.02, 0.05).sentence
        assert sentence is not None and sentence.startswith("Nothing new is published")


def test_among_equals_the_furthest_from_the_base_is_picked_that_the_limits_allow() -> None:
    """As with few validation images: 14 of 15 at three quarters as at the whole."""
    frontier = [BASE, candidate(0.75, 0.9, 0.0, 0.0), candidate(1.0, 0.9, 0.01, 0.01)]
    assert select(frontier, 0.02, 0.05).alpha == 1
    assert select(frontier, 0.005, 0.05).alpha == 0.75


def test_who_is_right_no_more_often_than_the_base_is_not_picked() -> None:
    assert select([BASE, candidate(1.0, BASE.new, 0.0, 0.0)], 0.02, 0.05) is BASE


def test_where_there_is_nothing_old_the_gain_alone_decides() -> None:
    frontier = [Candidate(alpha, new=alpha, lost=Drop({}, 0.0), at_most=Drop({}, 0.0)) for alpha in ALPHAS]
    assert select(frontier, 0.0, 0.0).alpha == 1


def test_the_whole_frontier_goes_into_the_metrics() -> None:
    lost, at_most = Drop({"colour": 0.4, "shape": -0.1}, 0.15), Drop({"colour": 0.45, "shape": 0.0}, 0.2)
    metrics = as_metrics(0.0, [BASE, Candidate(1.0, 0.9, lost, at_most)], 0.02, 0.05)
    assert (metrics.alpha, metrics.max_forgetting, metrics.max_task_forgetting) == (0.0, 0.02, 0.05)
    assert metrics.frontier is not None
    assert metrics.frontier[1].model_dump() == {
        "alpha": 1.0,
        "new": 0.9,
        "mean_drop": 0.15,
        "mean_drop_at_most": 0.2,
        "worst_drop": 0.4,
        "worst_drop_at_most": 0.45,
        "worst_task": "colour",
        "drop": {"colour": 0.4, "shape": -0.1},
        "drop_at_most": {"colour": 0.45, "shape": 0.0},
        "surely_lost": {},
    }


def test_both_ends_are_exact_and_the_middle_is_the_mean() -> None:
    tokenizer = tiny_tokenizer()
    base, other = tiny_model(tokenizer, 0), tiny_model(tokenizer, 1)
    model, tuned = copy.deepcopy(base), [weight.detach().clone() for weight in other.parameters()]
    for alpha, expected in ((1.0, tuned), (0.0, list(base.parameters()))):
        mix(model, base, tuned, alpha)
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), expected, strict=True))
    mix(model, base, tuned, 0.5)
    halves = [(a + b) / 2 for a, b in zip(base.parameters(), tuned, strict=True)]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(model.parameters(), halves, strict=True))


@pytest.mark.slow
def test_a_run_that_only_destroys_publishes_the_base_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out_shades(tmp_path)
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.setenv("BASE_MODEL_DIR", str(SHIPPED))
    monkeypatch.setenv("TRAINING_JOB_NAME", "shades-1")
    assert main([*QUICK, "learning_rate=0.5", "ema_decay=0", "max_forgetting=0", "max_task_forgetting=0"]) == 0
    assert "Nothing new is published" in capsys.readouterr().out
    found, ours, base = published(tmp_path), load_checkpoint(tmp_path / "model"), load_checkpoint(SHIPPED)
    assert (found.metadata.version, found.metadata.parent) == ("shades-1", base.metadata.version)
    assert found.metadata.calibration == base.metadata.calibration
    assert all(torch.equal(a, b) for a, b in zip(ours.model.parameters(), base.model.parameters(), strict=True))
    assert found.interpolation.alpha == 0 and found.metrics.world == found.metrics.world_before
    assert "Nothing new is published" in found.card and "| +0.000 to +0.000 |" in found.card
    assert "nothing new was learnt that could be published" in judge(found.metadata.metrics).reasons[0]


@pytest.mark.slow
def test_what_is_published_keeps_the_limits_and_the_next_start_may_choose_others(runs: dict[str, Published]) -> None:
    for limit, found in runs.items():
        base, picked = found.frontier[0], found.frontier[found.interpolation.alpha]
        assert list(found.frontier) == list(ALPHAS) and base.drop is not None and len(base.drop) == len(TASKS)
        assert picked.mean_drop_at_most is not None and picked.mean_drop_at_most <= float(limit)
        assert picked.worst_drop_at_most is not None and picked.worst_drop_at_most <= float(limit)
    assert runs[KEEPS].frontier == runs[LOSES].frontier
    lost = runs[LOSES].frontier[1].mean_drop
    assert lost is not None and lost > 0.01


@pytest.mark.slow
def test_the_gate_finds_every_figure_that_it_judges_by(runs: dict[str, Published]) -> None:
    """What training writes is what lambdas/gate reads, name by name."""
    for limit, found in runs.items():
        gate = judge(found.metadata.metrics)
        assert {"alpha", "images", "won", "lost", "p", "p_below", "mean_drop", "worst_drop"} < gate.figures.keys()
        assert gate.figures["images"] == 6 and gate.figures["old_tasks"] == len(TASKS)
        assert (gate.figures["p_below"], gate.figures["unrelated_below"]) == (NO_GAIN_BELOW, UNRELATED_BELOW)
        assert not [reason for reason in gate.reasons if "not measured" in reason or "not counted" in reason]
        assert not [reason for reason in gate.reasons if "does not say" in reason]
        assert found.interpolation.max_forgetting == float(limit)


@pytest.mark.slow
def test_labelled_data_is_a_task_of_its_own_with_figures_before_and_after_and_in_other_words(
    runs: dict[str, Published],
) -> None:
    metrics, card = runs[LOSES].metrics, runs[LOSES].card
    assert metrics.new and metrics.new_before and metrics.new_change and metrics.new_wording
    (name,) = metrics.new
    before, after, change = metrics.new_before[name], metrics.new[name], metrics.new_change[name]
    assert metrics.new_reported_on == "test" and after.images == 6
    assert before.accuracy is not None and after.accuracy is not None
    assert change.estimate == pytest.approx(after.accuracy - before.accuracy, abs=1e-4)
    assert None not in metrics.new_wording[name].model_dump().values()
    assert "## The new domain" in card and "test images" in card and "## Wording" in card
