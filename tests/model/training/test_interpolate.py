"""Weights between the base and the tuned checkpoint."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from model.clip.checkpoint import load_checkpoint
from model.training.interpolate import mix
from model.training.job import main
from model.training.selector import ALPHAS
from model.world.tasks import TASKS
from tests.model.conftest import tiny_model, tiny_tokenizer

SHIPPED = Path(__file__).resolve().parents[3] / "model/shipped"
QUICK = ["steps=12", "batch_size=8", "warmup_steps=0", "evaluation_scenes=120", "selection_scenes=120", "threads=1"]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /opt/ml with two shades under made-up names, to be taught to the shipped checkpoint."""
    channel = tmp_path / "input/data/train"
    channel.mkdir(parents=True)
    lines = []
    for number in range(24):
        name, shade = (("blicket", 90), ("dax", 160))[number % 2]
        Image.new("RGB", (64, 64), (shade, shade - number, shade)).save(channel / f"{number}.png")
        split = "validation" if number < 8 else "train"
        lines.append({"image": f"{number}.png", "captions": [f"a {name}", f"the {name} kind"], "split": split})
    (channel / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.setenv("BASE_MODEL_DIR", str(SHIPPED))
    monkeypatch.setenv("TRAINING_JOB_NAME", "shades-1")
    return tmp_path


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


def test_a_run_that_only_destroys_publishes_the_base_and_says_so(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "learning_rate=0.5", "ema_decay=0", "max_forgetting=0", "max_task_forgetting=0"]) == 0
    assert "Nothing new is published" in capsys.readouterr().out
    ours, base = load_checkpoint(job / "model"), load_checkpoint(SHIPPED)
    assert (ours.metadata.version, ours.metadata.parent) == ("shades-1", base.metadata.version)
    assert ours.metadata.calibration == base.metadata.calibration
    assert all(torch.equal(a, b) for a, b in zip(ours.model.parameters(), base.model.parameters(), strict=True))
    assert ours.metadata.metrics["interpolation"]["alpha"] == 0  # type: ignore[call-overload,index]
    assert ours.metadata.metrics["world"] == ours.metadata.metrics["world_before"]
    card = (job / "model/README.md").read_text()
    assert "Nothing new is published" in card and "| +0.000 to +0.000 |" in card


def test_what_is_published_keeps_the_limits_and_the_next_start_may_choose_others(job: Path) -> None:
    names = []
    for limit in ("0.01", "1"):
        assert main([*QUICK, "learning_rate=0.003", f"max_forgetting={limit}", f"max_task_forgetting={limit}"]) == 0
        found = load_checkpoint(job / "model").metadata.metrics["interpolation"]
        frontier = {point["alpha"]: point for point in found["frontier"]}  # type: ignore[call-overload,index]
        assert sorted(frontier) == list(ALPHAS) and len(frontier[0]["drop"]) == len(TASKS)
        picked = frontier[found["alpha"]]  # type: ignore[call-overload,index]
        assert picked["mean_drop_at_most"] <= float(limit) and picked["worst_drop_at_most"] <= float(limit)
        names.append(frontier)
    assert names[0] == names[1]
    assert names[0][1]["mean_drop"] > 0.01


def test_labelled_data_is_a_task_of_its_own_with_figures_before_and_after_and_in_other_words(
    job: Path, tmp_path: Path
) -> None:
    channel = tmp_path / "input/data/train"
    (channel / "manifest.jsonl").unlink()
    for number, picture in enumerate(sorted(channel.glob("*.png"), key=lambda path: int(path.stem))):
        split = ("train", "train", "validation", "test")[number // 2 % 4]
        name = ("blicket", "dax")[number % 2]
        (channel / split / name).mkdir(parents=True, exist_ok=True)
        picture.rename(channel / split / name / picture.name)
    assert main([*QUICK, "learning_rate=0.003", "max_forgetting=1", "max_task_forgetting=1"]) == 0
    metrics: dict[str, Any] = load_checkpoint(job / "model").metadata.metrics  # type: ignore[assignment]
    (name,) = metrics["new"]
    assert metrics["new_reported_on"] == "test" and metrics["new"][name]["images"] == 6
    gained = metrics["new"][name]["accuracy"] - metrics["new_before"][name]["accuracy"]
    assert metrics["new_change"][name]["estimate"] == pytest.approx(gained, abs=1e-4)
    assert {"trained", "held_out", "gap"} == metrics["new_wording"][name].keys()
    card = (job / "model/README.md").read_text()
    assert "## The new domain" in card and "test images" in card and "## Wording" in card
