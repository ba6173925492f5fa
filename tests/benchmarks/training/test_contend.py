"""What a contender does."""

from pathlib import Path

from benchmarks.training.contend import ours
from benchmarks.training.throughput import workload


def test_our_loop_counts_the_steps_after_those_that_warm_up(tmp_path: Path) -> None:
    load = workload(tmp_path, "small", batch=4, steps=3, warm=1, photos=8)
    cost = ours(load)
    assert cost and cost.images == 8 and cost.cpu_s > 0 and 0 <= cost.data_wait < 1
