"""What a load did: how many answers came, how fast, and what the server, the generator and the machine spent on it."""

import asyncio
import itertools
import math
import multiprocessing
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.client import OK, Sample, closed_loop
from benchmarks.serving.server import Server
from model.evaluation.report import markdown

GENERATORS_START_S = 30
"""Within which several generator processes are up, so that they can begin at the same moment."""

Sending = Coroutine[Any, Any, list[Sample]]
"""A load that is being put on a server."""


@dataclass(frozen=True)
class Load:
    """Of one or several server processes: `cpu_s` is theirs, idle and steal are shares of the machine's time."""

    samples: Sequence[Sample]
    wall_s: float
    cpu_s: float
    generator_cpu_s: float
    idle: float
    steal: float
    rss_bytes: int

    @property
    def answered(self) -> list[Sample]:
        """Those with status 200."""
        return [sample for sample in self.samples if sample.status == OK]

    @property
    def unanswered(self) -> int:
        """How many were refused or failed."""
        return len(self.samples) - len(self.answered)

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.answered) / self.wall_s

    @property
    def cpu_ms(self) -> float:
        """CPU of the servers for each answer."""
        return 1000 * self.cpu_s / len(self.answered) if self.answered else math.nan

    def latency_ms(self, share: float) -> float:
        """Within which so great a share of the answers came."""
        return percentile([sample.latency_ms for sample in self.answered], share)


Columns = Mapping[str, Callable[[Load], str]]
"""How a load is shown, by the head of the column."""


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest of the values that at least this share of them does not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def load_table(header: Sequence[str], loads: Iterable[tuple[Sequence[str], Load]], columns: Columns) -> str:
    """A table with a load in each row, after the cells that say which one."""
    rows = [[*names, *(show(load) for show in columns.values())] for names, load in loads]
    return markdown([*header, *columns], rows)


@dataclass(frozen=True)
class Reading:
    """Of all the clocks at one moment, and of the servers' memory."""

    at_s: float
    cpu_s: float
    generator_cpu_s: float
    machine_ticks: Sequence[int]
    rss_bytes: int


def read(servers: Sequence[Server]) -> Reading:
    """Read them."""
    spent = [server.usage for server in servers]
    cpu_s, rss_bytes = sum(each.cpu_s for each in spent), sum(each.rss_bytes for each in spent)
    return Reading(time.monotonic(), cpu_s, time.process_time(), machine_ticks(), rss_bytes)


def between(before: Reading, after: Reading, samples: Sequence[Sample]) -> Load:
    """What happened between two readings, with the requests that were sent then."""
    idle, steal = shares(before.machine_ticks, after.machine_ticks)
    generator_cpu_s = after.generator_cpu_s - before.generator_cpu_s
    wall_s, cpu_s = after.at_s - before.at_s, after.cpu_s - before.cpu_s
    return Load(samples, wall_s, cpu_s, generator_cpu_s, idle, steal, after.rss_bytes)


def measure(servers: Sequence[Server], sending: Sending) -> Load:
    """Put a load on the servers and read the clocks around it."""
    before = read(servers)
    samples = asyncio.run(sending)
    return between(before, read(servers), samples)


def clients(
    servers: Sequence[Server], requests: Iterator[bytes], count: int, seconds: float, at_least: int = 1
) -> Load:
    """A closed loop of so many clients, spread over the servers."""
    ports = [server.port for server in servers]
    return measure(servers, closed_loop(ports, requests, count, seconds, at_least))


def in_processes(server: Server, requests: Sequence[bytes], loops: Sequence[Callable[..., Sending]]) -> Load:
    """Loops that want `requests`, each in a generator process of its own, where one would be the bottleneck. Their CPU
    is not counted.
    """
    begin_s = time.monotonic() + GENERATORS_START_S
    with ProcessPoolExecutor(len(loops), mp_context=multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(_begin, loop, requests, begin_s) for loop in loops]

        async def sending() -> list[Sample]:
            return [sample for each in running for sample in await asyncio.wrap_future(each)]

        time.sleep(begin_s - time.monotonic())
        return measure([server], sending())


def _begin(loop: Callable[..., Sending], requests: Sequence[bytes], begin_s: float) -> list[Sample]:
    time.sleep(begin_s - time.monotonic())  # which fails if this process was not up in time
    return asyncio.run(loop(requests=itertools.cycle(requests)))


def machine_ticks() -> list[int]:
    """The machine's time so far by kind, all cores together: the first line of /proc/stat."""
    return [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def shares(before: Sequence[int], after: Sequence[int]) -> tuple[float, float]:
    """Idle and stolen shares of the time between two readings."""
    spent = [later - earlier for earlier, later in zip(before, after, strict=True)]
    total = sum(spent) or 1
    return (spent[3] + spent[4]) / total, spent[7] / total
