"""Several processes learn what one would, and a container starts as many as it should."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.training.distributed import Ranks, joined_ranks, run_workers, torchrun
from model.training.loop import Loop
from model.training.state import ResumeError, StateFolder

ROOT = Path(__file__).resolve().parents[3]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
WORK = """
import json, sys, torch
from pathlib import Path
from model.data.batch import Batch
from model.training.distributed import Ranks, joined_ranks
from model.training.state import StateFolder
from tests.model.loops import build_loop

torch.set_num_threads(1)
base_dir, found = Path(sys.argv[1]), {}
with joined_ranks() as ranks:
    for name, values in (("whole", {}), ("chunked", {"chunk_size": 3}), ("without a gather", {})):
        loop = build_loop(ranks, batch_size=8, **values)
        batch, pixels = loop.prefetcher.read(0, loop.recipe.global_batch)
        if name == "without a gather":
            loop.ranks, share = Ranks(0, 1, ranks.device), slice(ranks.rank * 8, ranks.rank * 8 + 8)
            columns = batch.positives[share].any(dim=0).nonzero().flatten().tolist()
            texts = tuple(batch.texts[column] for column in columns)
            batch = Batch(batch.rows[share], texts, batch.positives[share][:, columns])
        loop.gradients(batch, pixels, False)
        if name == "without a gather":
            ranks.average_gradients(loop.learning)
        found[name] = torch.cat([weight.grad.flatten() for weight in loop.learning])
        loop.prefetcher.close()
    found["stops"] = ranks.any(ranks.rank == ranks.count - 1)
    resumed, states = build_loop(ranks), StateFolder(base_dir / "checkpoints", "run")
    resumed.resume(states.newest())
    found["steps"] = resumed.recipe.steps
    for _ in range(6):
        resumed.take_step()
    if ranks.is_first:
        states.save(resumed.step, resumed.state())
        torch.save(found, base_dir / "two.pt")
    resumed.prefetcher.close()
"""


def weights(values: dict[str, Tensor]) -> Tensor:
    return torch.cat([values[name].flatten() for name in sorted(values)])


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_only_because_they_gather(
    coloured_job: Path, loop_of: Callable[..., Loop]
) -> None:
    """One starts a run, and two have its gradients and go on with it, with the same batches."""
    manifest = coloured_job / "input/data/train/manifest.jsonl"
    records = [json.loads(line) for line in manifest.read_text().splitlines()]
    lines = [json.dumps({**record, "captions": [f"{record['captions'][0]} {record['image']}"]}) for record in records]
    manifest.write_text("\n".join(lines))
    alone = loop_of(batch_size=16)
    alone.gradients(*alone.prefetcher.read(0, 16), False)
    one = torch.cat([weight.grad.flatten() for weight in alone.learning if weight.grad is not None])
    states, whole = StateFolder(coloured_job / "checkpoints", "run"), loop_of()
    first = weights(dict(whole.model.state_dict())).clone()
    for step in range(12):
        if step == 6:
            states.save(whole.step, whole.state())
        whole.take_step()

    script = coloured_job / "worker.py"
    script.write_text(WORK)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([*TORCHRUN, script, coloured_job], env=environment, check=True, timeout=240)

    two = torch.load(coloured_job / "two.pt", weights_only=True)
    assert two.pop("stops") is True and two.pop("steps") == whole.recipe.steps
    difference = {name: float((gradient - one).norm() / one.norm()) for name, gradient in two.items()}
    assert difference["whole"] <= 1e-5 and difference["chunked"] <= 1e-5
    assert difference["without a gather"] > 0.01
    newest = states.newest()
    assert newest is not None and newest[0] == 12 and newest[1]["global_batch"] == whole.recipe.global_batch == 8
    ours, theirs = weights(dict(whole.model.state_dict())), weights(newest[1]["model"])
    assert (ours - theirs).norm() <= 1e-3 * (ours - first).norm()


def test_more_processes_do_not_shorten_a_run_that_has_begun(loop_of: Callable[..., Loop]) -> None:
    started, resumed = (loop_of(steps=None, epochs=1000, batch_size=size) for size in (8, 16))
    assert resumed.recipe.steps < started.recipe.steps
    resumed.resume((1, started.state()))
    assert (resumed.recipe.global_batch, resumed.recipe.steps) == (8, started.recipe.steps)


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


def test_a_machine_without_a_resource_file_is_a_cluster_of_its_own(tmp_path: Path) -> None:
    gpus = torch.cuda.device_count()
    command = torchrun(tmp_path / "absent.json", [])
    assert command is None if gpus <= 1 else command is not None and "--master-addr=localhost" in command


def test_every_host_finds_its_place_in_the_same_order(tmp_path: Path) -> None:
    resources = tmp_path / "resourceconfig.json"
    resources.write_text(json.dumps({"hosts": ["algo-2", "algo-1"], "current_host": "algo-2"}))
    command = torchrun(resources, ["seed=1"])
    assert command is not None
    assert {"--nnodes=2", "--node-rank=1", "--master-addr=algo-1"} <= set(command)
    assert command[-3:] == ["-m", "model.training", "seed=1"]


def test_a_process_with_a_rank_is_a_worker_and_starts_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resources = tmp_path / "resourceconfig.json"
    resources.write_text(json.dumps({"hosts": ["algo-1", "algo-2"], "current_host": "algo-2"}))
    assert torchrun(resources, []) is not None
    monkeypatch.setenv("RANK", "0")
    assert torchrun(resources, []) is None


def test_the_status_of_the_workers_is_passed_on() -> None:
    assert run_workers([sys.executable, "-c", "raise SystemExit(3)"]) == 3


def test_workers_see_the_environment_that_is_given() -> None:
    command = [sys.executable, "-c", "import os; raise SystemExit(int(os.environ['STATUS']))"]
    assert run_workers(command, {"STATUS": "4"}) == 4


@pytest.fixture
def _survives_sigterm() -> Iterator[None]:
    """A signal that nobody takes would end the tests and not just fail one."""
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, previous)


@pytest.mark.usefixtures("_survives_sigterm")
def test_a_stop_signal_reaches_the_workers(tmp_path: Path) -> None:
    started = tmp_path / "started"

    def stop_once_started() -> None:
        while not started.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    stopping = threading.Thread(target=stop_once_started, daemon=True)
    stopping.start()
    work = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    assert run_workers([sys.executable, "-c", work, str(started)]) == -signal.SIGTERM
    stopping.join()


class StoppedAtStart(tuple[str, ...]):
    """A command whose process gets a stop signal while it is read: after the call, before there is a worker."""

    def __iter__(self) -> Iterator[str]:
        os.kill(os.getpid(), signal.SIGTERM)
        return super().__iter__()


@pytest.mark.usefixtures("_survives_sigterm")
def test_a_stop_signal_that_comes_before_the_workers_ends_them_too() -> None:
    command = StoppedAtStart([sys.executable, "-c", "import time; time.sleep(10)"])
    assert run_workers(command) == -signal.SIGTERM
