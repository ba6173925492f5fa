"""Programs of ours run to their end in processes of their own, on chosen cores; what processes cost, by /proc."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

Cores = frozenset[int]


class ProcessError(Exception):
    """A program failed, or a server did not start. The text is what it printed last."""


@dataclass(frozen=True)
class Usage:
    """CPU seconds used so far, user and system, and memory held now; what processes share counts twice."""

    cpu_s: float
    rss_bytes: int


def run_python(arguments: Sequence[str], log: Path, **environ: str) -> str:
    """Run Python on a program of ours from the repository's root; `log` gets what it prints. Returns all that is in it.
    Raises ProcessError.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as lines:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, *arguments], cwd=ROOT, env=os.environ | environ, stdout=lines, stderr=subprocess.STDOUT
        )
    said = log.read_text()
    if done.returncode:
        raise ProcessError(f"python {' '.join(arguments)} failed: {said.strip()[-2000:]}")
    return said


def finished_children_cpu_s() -> float:
    """What the processes have used that this one has started and waited for."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def usage(session: int) -> Usage:
    """Of all processes of a session, which has the number of the process that began it."""
    stats = [stat for path in Path("/proc").glob("[0-9]*/stat") if (stat := _fields(path)) and int(stat[3]) == session]
    ticks = sum(int(field) for stat in stats for field in stat[11:15])  # its own and of children it has waited for
    return Usage(ticks / TICKS_PER_S, sum(int(stat[21]) for stat in stats) * PAGE_BYTES)


def _fields(stat: Path) -> list[str]:
    """From the third on: before it comes a name, which may have spaces."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended
        return []


def peak_bytes() -> int:
    """The most memory that this process has held so far."""
    facts = Path("/proc/self/status")
    if facts.is_file():  # getrusage hands a parent's peak down to its children
        return next(int(line.split()[1]) * 1024 for line in facts.read_text().splitlines() if line[:6] == "VmHWM:")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def pinned(cores: Iterable[int] | None) -> Iterator[None]:
    """Keep this thread, and processes started meanwhile, on these cores; None: as it is."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if cores is None else cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
