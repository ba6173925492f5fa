"""States on disk: whole, verified, and of this run."""

from pathlib import Path

import pytest
import torch

from contract.metrics import Strategy
from model.training.state import ResumeError, StateFolder


def saved(directory: Path, *steps: int) -> StateFolder:
    folder = StateFolder(directory, "run-a")
    for step in steps:
        folder.save(step, {"weights": torch.full((3,), float(step))})
    return folder


def test_the_newest_state_comes_back(tmp_path: Path) -> None:
    newest = saved(tmp_path, 5, 10).newest()
    assert newest is not None and newest[0] == 10
    assert newest[1]["weights"].tolist() == [10.0] * 3


def test_an_empty_folder_is_a_fresh_start(tmp_path: Path) -> None:
    assert StateFolder(tmp_path / "absent", "run-a").newest() is None


def test_two_states_are_kept(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-00000002.json", "step-00000002.pt", "step-00000003.json", "step-00000003.pt",
    ]  # fmt: skip


@pytest.mark.parametrize("damage", ["truncate", "remove", "unsealed", "seal"])
def test_a_damaged_newest_state_falls_back_to_the_one_before(tmp_path: Path, damage: str) -> None:
    folder = saved(tmp_path, 1, 2)
    weights, seal = tmp_path / "step-00000002.pt", tmp_path / "step-00000002.json"
    match damage:
        case "truncate":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "remove":
            weights.unlink()
        case "unsealed":
            seal.unlink()
        case "seal":
            seal.write_text('{"sha')
    newest = folder.newest()
    assert newest is not None and newest[0] == 1


def test_a_state_of_another_run_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    with pytest.raises(ResumeError, match="other hyperparameters, data or base checkpoint"):
        StateFolder(tmp_path, "run-b").newest()


def test_each_run_remembers_what_it_chose_and_one_that_is_to_go_on_with_anothers_takes_that(tmp_path: Path) -> None:
    assert StateFolder(tmp_path / "absent", "run-a").choice() is None
    for run, chosen in (("run-a", "projection"), ("run-b", "full")):
        StateFolder(tmp_path, run).remember(Strategy(chosen=chosen, sentence=run))  # type: ignore[arg-type]
    assert StateFolder(tmp_path, "run-a").choice() == Strategy(chosen="projection", sentence="run-a")
    assert StateFolder(tmp_path, "run-c").choice() is None
    forced = StateFolder(tmp_path, "run-c", force=True)
    assert forced.choice() is None, "there is no state of theirs to go on from"
    (tmp_path / "step-00000001.json").write_text("{}")
    assert forced.choice() == Strategy(chosen="full", sentence="run-b")
    StateFolder(tmp_path, "run-a").remember(Strategy(chosen="projection", sentence="again"))
    assert forced.choice() == Strategy(chosen="projection", sentence="again"), "the newest"
    (tmp_path / "choices.json").write_text('{"run-a')
    assert StateFolder(tmp_path, "run-a").choice() is None
