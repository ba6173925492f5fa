"""What training steps cost."""

import time

from benchmarks.meter import Meter

BLOCK_BYTES = 200_000_000


def work(cpu_s: float) -> None:
    since_s = time.process_time()
    while time.process_time() - since_s < cpu_s:
        pass


def test_steps_that_warm_up_are_not_measured() -> None:
    meter = Meter(unmeasured=1)
    work(0.2)
    meter.tick()
    work(0.02)
    meter.tick()
    cost = meter.cost(batch=8)
    assert cost.images == 8 and 0.02 <= cost.cpu_s < 0.2


def test_memory_is_what_was_held_at_the_highest_although_it_was_given_back() -> None:
    meter = Meter(unmeasured=0)
    block = bytearray(BLOCK_BYTES)
    block[::4096] = b"1" * len(block[::4096])
    del block
    cost = meter.cost(batch=1)
    assert BLOCK_BYTES * 0.5 < cost.work_bytes < BLOCK_BYTES * 2 < 2 * cost.peak_bytes
