"""What a load did: how many answers came, how fast, and what the server, the generator and the machine spent on it."""

import asyncio
import itertools
import math
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.serve_client import Sample, closed_loop
from benchmarks.serve_process import Server

MACHINE_FACTS = Path("/proc/stat")
OK = 200


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

    def raw(self) -> dict[str, Any]:
        """For a JSON file."""
        return {**asdict(self), "samples": [[s.due_s, s.latency_ms, s.status] for s in self.samples]}


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest of the values that at least this share of them does not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def measure(servers: Sequence[Server], load: Callable[[], list[Sample]]) -> Load:
    """Put a load on the servers and read the clocks around it."""
    generator_s, cpu_s, machine = time.process_time(), _cpu_s(servers), machine_ticks()
    begun_s = time.monotonic()
    samples = load()
    wall_s = time.monotonic() - begun_s
    idle, steal = shares(machine, machine_ticks())
    return Load(
        samples, wall_s, _cpu_s(servers) - cpu_s, time.process_time() - generator_s, idle, steal,
        sum(server.rss_bytes for server in servers),
    )  # fmt: skip


def _cpu_s(servers: Sequence[Server]) -> float:
    return sum(server.cpu_s for server in servers)


def clients(
    servers: Sequence[Server], requests: Iterator[bytes], count: int, seconds: float, at_least: int = 1
) -> Load:
    """A closed loop of so many clients, spread over the servers."""
    ports = [server.port for server in servers]
    return measure(servers, lambda: asyncio.run(closed_loop(ports, requests, count, seconds, at_least)))


def clients_in_processes(server: Server, requests: Sequence[bytes], count: int, seconds: float, processes: int) -> Load:
    """The same from several generator processes, where one would be the bottleneck; their CPU is not counted."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        list(pool.map(time.sleep, [0.5] * processes))  # they are all up before the clocks are read
        share = count // processes
        arguments = [(server.port, requests, share, seconds)] * processes
        return measure([server], lambda: [each for found in pool.map(_client_process, arguments) for each in found])


def _client_process(arguments: tuple[int, Sequence[bytes], int, float]) -> list[Sample]:
    port, requests, count, seconds = arguments
    return asyncio.run(closed_loop([port], itertools.cycle(requests), count, seconds))


def machine_ticks() -> list[int]:
    """The machine's time so far by kind, all cores together: the first line of /proc/stat."""
    return [int(ticks) for ticks in MACHINE_FACTS.read_text().splitlines()[0].split()[1:9]]


def shares(before: Sequence[int], after: Sequence[int]) -> tuple[float, float]:
    """Idle and stolen shares of the time between two readings."""
    spent = [later - earlier for earlier, later in zip(before, after, strict=True)]
    total = sum(spent) or 1
    return (spent[3] + spent[4]) / total, spent[7] / total
