"""How fast and in how much memory the training loop works, beside two common ones: benchmarks/training.md.

    make bench-train

All contenders train the same randomly initialised model on the same JPEGs and sentences, in float32 on one thread, each
time in a new process; rounds take turns, and medians are reported. CPU seconds are counted, which other programs on the
machine disturb least.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks import ROOT
from benchmarks.training.contend import CONTENDERS, contend
from benchmarks.training.entry import Entry
from benchmarks.training.inputs import SHAPES, write_checkpoint, write_photos
from benchmarks.training.meter import Cost
from benchmarks.training.tables import Figures, write_report

WORK = ROOT / ".bench/train"
PHOTOS = 512
ROUNDS = 5
LARGE = "ViT-B/32"


@dataclass(frozen=True)
class Stand:
    """Where the inputs lie."""

    work: Path

    def entry(self, shape: str, batch: int, steps: int, warm: int, from_jpeg: bool = False) -> Entry:
        """A task for a contender, with what it needs written."""
        checkpoint = self.work / shape.replace("/", "-")
        write_checkpoint(SHAPES[shape], checkpoint)
        write_photos(PHOTOS, self.work / "photos")
        return Entry(checkpoint, self.work / "photos", self.work / "job", batch, steps, warm, from_jpeg)


def rounds(entry: Entry, count: int) -> dict[str, Cost]:
    """Each contender's median by CPU seconds; they take turns."""
    costs: dict[str, list[Cost]] = {name: [] for name in CONTENDERS}
    for _ in range(count):
        for name in CONTENDERS:
            costs[name].append(_said(name, entry))
    return {name: _median(found) for name, found in costs.items()}


def _median(costs: Sequence[Cost]) -> Cost:
    middle = median(cost.cpu_s for cost in costs)
    return min(costs, key=lambda cost: abs(cost.cpu_s - middle))


def _said(name: str, entry: Entry, ranks: int = 1) -> Cost:
    cost = contend(name, entry, ranks)
    print(
        f"{entry.checkpoint.name}, {entry.batch} per batch, {ranks} ranks: {name} {cost}", file=sys.stderr, flush=True
    )
    return cost


def measure(stand: Stand, count: int) -> Figures:
    """All the figures of the report."""
    small = stand.entry("small", 64, 6, 2)
    jpegs = stand.entry("small", 64, PHOTOS // 64, 0, from_jpeg=True)
    large = stand.entry(LARGE, 8, 3, 1)
    whole = stand.entry("small", PHOTOS, 2, 0)
    return Figures(
        step=rounds(small, count),
        end_to_end=rounds(jpegs, count),
        large=rounds(large, min(3, count)),
        batches={size: _said("ours", stand.entry("small", size, 4, 1)) for size in (16, 64, 128)},
        sides={
            SHAPES[name].image: _said("ours", stand.entry(name, 32, 4, 1))
            for name in ("small", "small-128", "small-224")
        },
        ranks={ranks: _said("ours", stand.entry("small", 64, 12, 4), ranks) for ranks in (1, 2)},
        whole=_said("ours", whole),
        chunked=_said("ours", replace(whole, chunk=PHOTOS // 8)),
        two_large_steps=_said("ours", stand.entry(LARGE, 32, 2, 0)),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training.throughput", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of every comparison (default %(default)s)")
    parser.add_argument("--work", type=Path, default=WORK, help="where inputs are kept (default: %(default)s)")
    given = parser.parse_args(arguments)
    begun_s = time.monotonic()
    figures = measure(Stand(given.work), given.rounds)
    write_report(figures, given.rounds, time.monotonic() - begun_s)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
