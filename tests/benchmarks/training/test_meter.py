"""What training steps cost."""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.training.meter import Cost, Meter

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
    # in a process of its own, as what is measured: this one may have held more before
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        cost = pool.submit(cost_of_a_block).result()
    assert BLOCK_BYTES * 0.5 < cost.work_bytes < BLOCK_BYTES * 2 < 2 * cost.peak_bytes


def cost_of_a_block() -> Cost:
    meter = Meter(unmeasured=0)
    block = bytearray(BLOCK_BYTES)
    block[::4096] = b"1" * len(block[::4096])
    del block
    return meter.cost(batch=1)
