"""What the server does near its capacity and far beyond it: serving-load.md, by kind of CPU.

    make bench-load              3 minutes on a quiet machine
    make bench-load QUICK=1      half a minute, for development: into .bench/serve, and no figure to quote

The server has a core for itself and this program, which makes the load, another one. Its capacity is what eight clients
get from it; then come 80 % of that at even distances, the same at random, four times the capacity, and a lone client
that sees how long the server takes to recover.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks import REPORTS
from benchmarks.machine import cpu_kind, machine
from benchmarks.process import pinned
from benchmarks.serving.bars import LOAD, bar_table
from benchmarks.serving.client import OK, Sample, closed_loop, get, open_loop
from benchmarks.serving.load import Columns, Load, between, clients, load_table, measure, percentile, read
from benchmarks.serving.requests import CHECKPOINT, vga_questions, write_clip
from benchmarks.serving.server import WORK, Server, ours, running

BUDGET_MS = 500
REFUSALS = (429, 503)
CAPACITY_CLIENTS = 8
"""As many as the server takes in one batch, and not so many that one waits longer than the budget."""
NEAR, BEYOND = 0.8, 4.0
PINGS_PER_S = 10
NORMAL = 1.25
"""A p50 of five requests is normal again if it is at most so many times the one before the overload."""
RECOVERY_REQUESTS = 5


COLUMNS: Columns = {
    "a second": lambda load: f"{len(load.samples) / load.wall_s:.3g}",
    "answered": lambda load: f"{len(load.answered):,}",
    "refused": lambda load: f"{len(refusals_ms(load)):,}",
    "failed": lambda load: f"{load.unanswered - len(refusals_ms(load)):,}",
    "p50, ms": lambda load: f"{load.latency_ms(0.5):,.0f}",
    "p99, ms": lambda load: f"{load.latency_ms(0.99):,.0f}",
    "server": lambda load: f"{load.cpu_s / load.wall_s:.2f}",
    "generator": lambda load: f"{load.generator_cpu_s / load.wall_s:.2f}",
    "idle": lambda load: f"{load.idle:.0%}",
}


@dataclass(frozen=True)
class Effort:
    """How long each part lasts."""

    capacity_s: float = 10
    near_s: float = 40
    beyond_s: float = 30
    recovery_s: float = 10


QUICK = Effort(3, 6, 6, 4)


@dataclass(frozen=True)
class Overload:
    """What was measured, in this order; `pings` are those during the overload."""

    lone: Load
    capacity: Load
    even: Load
    random: Load
    beyond: Load
    pings: Sequence[Sample]
    after: Load

    @property
    def growth(self) -> float:
        """Of the server's memory, from before the overload to after the recovery."""
        return self.after.rss_bytes / self.random.rss_bytes - 1

    def parts(self) -> Mapping[str, Load]:
        """By what was sent."""
        return {
            "one client": self.lone, f"{CAPACITY_CLIENTS} clients": self.capacity,
            f"{NEAR:.0%} of that, evenly": self.even, f"{NEAR:.0%} of that, at random": self.random,
            f"{BEYOND:g} times that, evenly": self.beyond, "one client, after that": self.after,
        }  # fmt: skip


def evenly(per_s: float, seconds: float) -> list[float]:
    """Times at equal distances."""
    return [number / per_s for number in range(int(per_s * seconds))]


def at_random(per_s: float, seconds: float, seed: int = 0) -> list[float]:
    """Times of a Poisson process: what callers who know nothing of each other send."""
    rng, found, at_s = random.Random(seed), [], 0.0  # noqa: S311 - no secret
    while (at_s := at_s + rng.expovariate(per_s)) < seconds:
        found.append(at_s)
    return found


def recovery_s(samples: Sequence[Sample], normal_ms: float) -> float:
    """When the first RECOVERY_REQUESTS requests in a row began whose p50 was at most `normal_ms`; infinite if never."""
    for start in range(len(samples) - RECOVERY_REQUESTS + 1):
        some = samples[start : start + RECOVERY_REQUESTS]
        if all(s.status == OK for s in some) and median(s.latency_ms for s in some) <= normal_ms:
            return some[0].due_s
    return float("inf")


def measure_overload(server: Server, requests: Iterator[bytes], effort: Effort) -> Overload:
    """Put the loads on a server that has just started."""
    clients([server], requests, CAPACITY_CLIENTS, 1)
    lone = clients([server], requests, 1, effort.capacity_s)
    capacity = clients([server], requests, CAPACITY_CLIENTS, effort.capacity_s)
    near = NEAR * capacity.per_s
    even, poisson = (
        measure([server], open_loop(server.port, requests, due_s))
        for due_s in (evenly(near, effort.near_s), at_random(near, effort.near_s))
    )
    beyond, pings, after = asyncio.run(_beyond(server, requests, BEYOND * capacity.per_s, effort))
    return Overload(lone, capacity, even, poisson, beyond, pings, after)


async def _beyond(
    server: Server, requests: Iterator[bytes], per_s: float, effort: Effort
) -> tuple[Load, Sequence[Sample], Load]:
    """The overload with pings beside it, and a lone client from the moment on when nothing more is sent, while what was
    sent before may still be waiting.
    """
    before = read([server])
    asked = asyncio.create_task(open_loop(server.port, requests, evenly(per_s, effort.beyond_s)))
    ping = itertools.repeat(get(server.ping))
    pinged = asyncio.create_task(open_loop(server.port, ping, evenly(PINGS_PER_S, effort.beyond_s)))
    await asyncio.sleep(effort.beyond_s)
    ended = read([server])
    after = await closed_loop([server.port], requests, 1, effort.recovery_s, RECOVERY_REQUESTS)
    recovered = read([server])
    return between(before, ended, await asked), await pinged, between(ended, recovered, after)


def bar_figures(found: Overload, effort: Effort) -> dict[str, float]:
    """A figure for every bar."""
    useful = [sample for sample in found.beyond.answered if sample.latency_ms <= 2 * BUDGET_MS]
    figures = {
        "p99": found.even.latency_ms(0.99) / found.lone.latency_ms(0.5),
        "refused": 1 - len(found.even.answered) / len(found.even.samples),
        "useful": len(useful) / effort.beyond_s / found.capacity.per_s,
        "accepted": found.beyond.latency_ms(0.99) / BUDGET_MS,
        "ping": percentile([sample.latency_ms for sample in found.pings], 0.99),
        "recovery": round(recovery_s(found.after.samples, NORMAL * found.lone.latency_ms(0.5)), 3),
        "growth": found.growth,
    }
    refused_ms = refusals_ms(found.beyond)
    return figures | ({"reject": percentile(refused_ms, 0.99)} if refused_ms else {})


def refusals_ms(load: Load) -> list[float]:
    """How long each refusal took."""
    return [sample.latency_ms for sample in load.samples if sample.status in REFUSALS]


def write_report(found: Overload, effort: Effort, took_s: float, directory: Path) -> None:
    """Write serving-load.md."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = [([what], load) for what, load in found.parts().items()]
    (directory / "serving-load.md").write_text(f"""# How serving behaves under load

`make bench-load` wrote this file in {took_s / 60:.0f} minutes. {machine()}.

A ViT-B/32 with random weights answers VGA photographs with 10 known labels. The server has one core, the load generator
another one. Latencies count from when a request was due, not from when it was sent. The budget is {BUDGET_MS} ms.

{bar_table(LOAD, bar_figures(found, effort), {"reject": "nothing was refused"})}

"Server" and "generator" are the cores that they used, "idle" the share of the whole machine that nobody did; at most
{max(load.steal for load in found.parts().values()):.1%} was stolen by its host. At random distances, as from callers
who know nothing of each other, some wait at {NEAR:.0%} of the capacity of a lone worker whatever the server does: for a
queue with constant service times 1 in 100 takes 11 of these or more.

{load_table(["sent"], rows, COLUMNS)}

Memory before the overload: {found.random.rss_bytes / 1e6:,.0f} MB, after it: {found.after.rss_bytes / 1e6:,.0f} MB.
""")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the report. The exit status is 2 where there are no two cores."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.overload", description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run into .bench/serve")
    given = parser.parse_args(arguments)
    generator_core, *cores = sorted(os.sched_getaffinity(0))
    if not cores:
        print("the server and the load generator need a core each, and this process has one", file=sys.stderr)
        return 2
    begun_s, effort = time.monotonic(), QUICK if given.quick else Effort()
    write_clip()
    server = ours("load", CHECKPOINT, workers=1, QUEUE_BUDGET_MS=str(BUDGET_MS))
    with running([server], frozenset(cores[:1])) as up:
        if not up:
            return 1
        with pinned({generator_core}):
            found = measure_overload(server, itertools.cycle(vga_questions()), effort)
    (WORK / "load.json").write_text(json.dumps(asdict(found)))
    write_report(found, effort, time.monotonic() - begun_s, WORK / "quick" if given.quick else REPORTS / cpu_kind())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
