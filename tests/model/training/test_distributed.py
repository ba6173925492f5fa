"""Several processes learn what one would."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.training.distributed import Ranks, joined_ranks
from model.training.loop import Loop
from model.training.state import ResumeError, StateFolder

ROOT = Path(__file__).resolve().parents[3]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
GRADIENTS = """
import sys, torch
from model.data.batch import Batch
from model.training.distributed import Ranks, joined_ranks
from tests.model.loops import build_loop

torch.set_num_threads(1)
found = {}
with joined_ranks() as ranks:
    for name, values in (("whole", {}), ("chunked", {"chunk_size": 3}), ("without a gather", {})):
        loop = build_loop(ranks, batch_size=8, **values)
        batch, pixels = loop.reader.read(0, loop.global_batch)
        if name == "without a gather":
            loop.ranks, share = Ranks(0, 1, ranks.device), slice(ranks.rank * 8, ranks.rank * 8 + 8)
            columns = batch.positives[share].any(dim=0).nonzero().flatten().tolist()
            texts = tuple(batch.texts[column] for column in columns)
            batch = Batch(batch.rows[share], texts, batch.positives[share][:, columns])
        loop.gradients(batch, pixels, False)
        if name == "without a gather":
            ranks.average_gradients(iter(loop.learning))
        found[name] = torch.cat([weight.grad.flatten() for weight in loop.learning])
        loop.close()
    found["stops"] = ranks.any(ranks.rank == ranks.count - 1)
    if ranks.is_first:
        torch.save(found, sys.argv[1])
"""
RESUMED = """
import sys, torch
from pathlib import Path
from model.training.distributed import joined_ranks
from model.training.state import StateFolder
from tests.model.loops import build_loop

torch.set_num_threads(1)
with joined_ranks() as ranks:
    loop = build_loop(ranks)
    loop.resume(StateFolder(Path(sys.argv[1]), "run").newest())
    for _ in range(6):
        loop.take_step()
    if ranks.is_first:
        StateFolder(Path(sys.argv[1]), "run").save(loop.step, loop.state())
    loop.close()
"""


def run_two(tmp_path: Path, work: str, argument: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(work)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([*TORCHRUN, script, argument], env=environment, check=True, timeout=240)


def weights(values: dict[str, Tensor]) -> Tensor:
    return torch.cat([values[name].flatten() for name in sorted(values)])


def test_two_processes_have_the_gradients_of_one_and_only_because_they_gather(
    coloured_job: Path, loop_of: Callable[..., Loop]
) -> None:
    manifest = coloured_job / "input/data/train/manifest.jsonl"
    records = [json.loads(line) for line in manifest.read_text().splitlines()]
    lines = [json.dumps({**record, "captions": [f"{record['captions'][0]} {record['image']}"]}) for record in records]
    manifest.write_text("\n".join(lines))
    alone = loop_of(batch_size=16)
    alone.gradients(*alone.reader.read(0, 16), False)
    one = torch.cat([weight.grad.flatten() for weight in alone.learning if weight.grad is not None])
    run_two(coloured_job, GRADIENTS, coloured_job / "two.pt")
    two = torch.load(coloured_job / "two.pt", weights_only=True)
    assert two.pop("stops") is True
    difference = {name: float((gradient - one).norm() / one.norm()) for name, gradient in two.items()}
    assert difference["whole"] <= 1e-5 and difference["chunked"] <= 1e-5
    assert difference["without a gather"] > 0.01


def test_a_run_of_one_process_goes_on_in_two_with_the_same_batches(
    coloured_job: Path, loop_of: Callable[..., Loop]
) -> None:
    states = StateFolder(coloured_job / "checkpoints", "run")
    whole = loop_of()
    first = weights(dict(whole.model.state_dict())).clone()
    for step in range(12):
        if step == 6:
            states.save(whole.step, whole.state())
        whole.take_step()
    run_two(coloured_job, RESUMED, states.directory)
    newest = states.newest()
    assert newest is not None and newest[0] == 12 and newest[1]["global_batch"] == whole.global_batch == 8
    ours, theirs = weights(dict(whole.model.state_dict())), weights(newest[1]["model"])
    assert (ours - theirs).norm() <= 1e-3 * (ours - first).norm()


def test_a_batch_that_ranks_cannot_share_equally_is_refused(loop_of: Callable[..., Loop]) -> None:
    started, resumed = loop_of(), loop_of()
    started.take_step()
    resumed.ranks = Ranks(0, 3, torch.device("cpu"))
    with pytest.raises(ResumeError, match="8 images per step, which 3 processes can't share equally"):
        resumed.resume((1, started.state()))


def test_ranks_share_a_batch_without_overlap() -> None:
    shares = [Ranks(rank, 3, torch.device("cpu")).share(tuple(range(12))) for rank in range(3)]
    assert shares == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11)]


def test_a_process_that_torchrun_did_not_start_is_alone() -> None:
    with joined_ranks() as ranks:
        assert (ranks.rank, ranks.count, ranks.is_first) == (0, 1, True)
        assert ranks.any(True) and not ranks.any(False)
