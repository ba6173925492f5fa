"""What good callers notice while others send images that cost far more than they are worth.

    python -m benchmarks.serving.hostile [KIND …]      one line per kind of image, and one with all of them at once

The server runs as it is shipped, with a model of CLIP's size, on the same cores as this program. Good callers ask two
VGA questions a second; beside them several clients send one hostile image at a time, and as many send lists of them.
"""

import argparse
import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.serving.client import OK, Sample, closed_loop, get, open_loop, post
from benchmarks.serving.hostile_images import KINDS
from benchmarks.serving.load import clients, percentile
from benchmarks.serving.requests import CHECKPOINT, classify, labels, vga_questions, write_clip
from benchmarks.serving.server import Server, ours, running
from contract.limits import MAX_IMAGES, MAX_INVOCATION_BYTES
from model.evaluation.report import markdown

GOOD_PER_S = 2
PINGS_PER_S = 5
SECONDS = 15.0
SINGLES, LISTS = 4, 3
"""Hostile clients."""
SAMPLED_EVERY_S = 0.1
COLUMNS = (
    "hostile images", "good callers", "refused", "p50, ms", "p99, ms", "slowest, ms", "pings failed",
    "slowest ping, ms", "memory grew, MB", "hostile answers",
)  # fmt: skip


class MemoryWatch:
    """The most memory that the processes of a session hold together; what they share counts once."""

    def __init__(self, session: int) -> None:
        self._session = session
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.before_bytes = self.peak_bytes = session_bytes(session)

    def _watch(self) -> None:
        while not self._over.wait(SAMPLED_EVERY_S):
            self.peak_bytes = max(self.peak_bytes, session_bytes(self._session))

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


def session_bytes(session: int) -> int:
    """Proportional set size of all processes of a session."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                facts = stat.with_name("smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) * 1024 for line in facts if line.startswith("Pss:"))
        except (OSError, StopIteration):  # it has just ended
            continue
    return total


def attack(server: Server, good: Sequence[bytes], hostile: Sequence[bytes], seconds: float) -> list[str]:
    """One line of the table."""
    singles = [post("/invocations", classify([each], labels(10))) for each in hostile]
    lists = [post("/invocations", classify([each] * how_many(each), labels(10))) for each in hostile]

    async def load() -> tuple[list[Sample], list[Sample], list[Sample], list[Sample]]:
        due_s = [number / GOOD_PER_S for number in range(int(GOOD_PER_S * seconds))]
        pings_s = [number / PINGS_PER_S for number in range(int(PINGS_PER_S * seconds))]
        return await asyncio.gather(
            open_loop(server.port, itertools.cycle(good), due_s),
            open_loop(server.port, itertools.repeat(get("/ping")), pings_s),
            closed_loop([server.port], itertools.cycle(singles), SINGLES, seconds),
            closed_loop([server.port], itertools.cycle(lists), LISTS, seconds),
        )

    with MemoryWatch(server.session) as memory:
        answers, pings, *others = asyncio.run(load())
    ms = [each.latency_ms for each in answers]
    return [
        f"{sum(each.status == OK for each in answers)} of {len(answers)} answered",
        str(sum(each.status != OK for each in answers)),
        *(f"{percentile(ms, share):,.0f}" for share in (0.5, 0.99, 1)),
        str(sum(each.status != OK for each in pings)),
        f"{max(each.latency_ms for each in pings):,.0f}",
        f"{(memory.peak_bytes - memory.before_bytes) / 1e6:,.0f}",
        ", ".join(f"{count} x {status}" for status, count in Counter(s.status for o in others for s in o).items()),
    ]


def how_many(image: bytes) -> int:
    """Of them fit into one request."""
    return max(1, min(MAX_IMAGES, MAX_INVOCATION_BYTES // len(image)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Attack, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.hostile", description=__doc__.split("\n\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: all")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each attack")
    given = parser.parse_args(arguments)
    images = {name: KINDS[name]() for name in given.kinds or KINDS}
    write_clip()
    good = vga_questions()
    rows = []
    with running([ours("ours", CHECKPOINT)]) as servers:
        for server in servers:
            clients([server], itertools.cycle(good), 2, 2)
            rows.append(["no images at all", *attack(server, good, [b"no image"], given.seconds)])
            for name, image in images.items():
                rows.append([name, *attack(server, good, [image], given.seconds)])
                print(rows[-1], flush=True)
            if len(images) > 1:
                rows.append(["all of them", *attack(server, good, list(images.values()), given.seconds)])
    print(markdown(COLUMNS, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
