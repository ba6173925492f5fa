"""Several processes learn what one would."""

import subprocess
import sys
from pathlib import Path

import torch

from model.training.distributed import Ranks, joined_ranks

ROOT = Path(__file__).resolve().parents[3]
WORKER = """
import sys, torch
from torch.nn.functional import normalize
from model.training.distributed import joined_ranks
from model.training.loss import contrastive_loss

torch.manual_seed(0)
tower, texts = torch.nn.Linear(6, 4), torch.nn.Linear(5, 4)
images, words = torch.randn(8, 6), torch.randn(8, 5)
with joined_ranks() as ranks:
    rows = list(ranks.share(tuple(range(8))))
    embeds = ranks.gather(normalize(tower(images[rows]), dim=-1))
    cosines = embeds @ normalize(texts(words), dim=-1).T
    contrastive_loss(10 * cosines, torch.eye(8, dtype=torch.bool)).backward()
    weights = [*tower.parameters(), *texts.parameters()]
    ranks.average_gradients(iter(weights))
    stops = ranks.any(ranks.rank == ranks.count - 1)
    if ranks.is_first:
        torch.save([stops, *(weight.grad for weight in weights)], sys.argv[1])
"""


def gradients(tmp_path: Path, launcher: list[str], name: str) -> list[torch.Tensor]:
    script, out = tmp_path / "worker.py", tmp_path / name
    script.write_text(WORKER)
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, *launcher, script, out], env=environment, check=True, timeout=120)
    stops, *gradient = torch.load(out, weights_only=True)
    assert stops is True
    return list(gradient)


def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    one = gradients(tmp_path, [], "one.pt")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    two = gradients(tmp_path, launcher, "two.pt")
    for alone, shared in zip(one, two, strict=True):
        assert torch.allclose(alone, shared, atol=1e-6)


def test_ranks_share_a_batch_without_overlap() -> None:
    shares = [Ranks(rank, 3, torch.device("cpu")).share(tuple(range(12))) for rank in range(3)]
    assert shares == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11)]


def test_a_process_that_torchrun_did_not_start_is_alone() -> None:
    with joined_ranks() as ranks:
        assert (ranks.rank, ranks.count, ranks.is_first) == (0, 1, True)
        assert ranks.any(True) and not ranks.any(False)
