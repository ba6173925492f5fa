"""This checkout's server beside another's, such as the last one that decoded in its own threads: serving-beside.md, by
kind of CPU.

    python -m benchmarks.serving.beside ../before

Both are up and take turns at VGA and 12-megapixel photographs: with towers that cost next to nothing, so that what is
compared is the rest, and with a model of CLIP's size. On a busy machine CPU time is told better than requests a second.
"""

import argparse
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks import REPORTS, ROOT
from benchmarks.machine import cpu_kind, machine
from benchmarks.serving.bars import BESIDE, bar_table
from benchmarks.serving.client import post
from benchmarks.serving.load import Load, clients
from benchmarks.serving.requests import CHECKPOINT, classify, labels, photos, thin_config, write_clip
from benchmarks.serving.server import WORK, ours
from benchmarks.serving.throughput import CLIENTS_PER_WORKER, PATIENT, THIN
from contract.containers import free_vcpus
from model.evaluation.report import markdown

ROUNDS, SECONDS, WARMING_S = 9, 2.5, 3
PHOTOS = {"VGA": 8, "12 MP": 2}
"""How many different ones of each size."""
MODELS = {"thin": THIN, "ViT-B/32": CHECKPOINT}

COLUMNS = ("model", "photographs", "CPU ms", "before", "requests/s", "before", "CPU, ratio", "requests/s, ratio")

Case = tuple[str, str]
"""A model and a size."""
Turns = Mapping[Case, Sequence[tuple[Load, Load]]]
"""This checkout's loads and the other's, by round."""


def measure(other: Path, rounds: int) -> Turns:
    """Let both take turns, each first in every other round."""
    write_clip()
    write_clip(THIN, thin_config())
    workers, ten = free_vcpus(), labels(10)
    asking = CLIENTS_PER_WORKER * workers
    sent = {
        size: itertools.cycle([post("/invocations", classify([image], ten)) for image in photos(size, count)])
        for size, count in PHOTOS.items()
    }
    turns: dict[Case, list[tuple[Load, Load]]] = {}
    for model, checkpoint in MODELS.items():
        with ExitStack() as ends:
            servers = []
            for name, root in (("now", ROOT), ("before", other)):
                server = ours(name, checkpoint, workers, **PATIENT)
                server.start(WORK / f"logs/beside-{name}.log", root=root)
                ends.callback(server.stop)
                servers.append(server)
            for server, size in itertools.product(servers, sent):
                clients([server], sent[size], asking, WARMING_S)
            for number, size in itertools.product(range(rounds), sent):
                order = servers if number % 2 else servers[::-1]
                loads = {each.name: clients([each], sent[size], asking, SECONDS) for each in order}
                turns.setdefault((model, size), []).append((loads["now"], loads["before"]))
                print(model, size, f"{loads['now'].cpu_ms / loads['before'].cpu_ms:.3f}", file=sys.stderr, flush=True)
    return turns


def cpu_ratio(turns: Sequence[tuple[Load, Load]]) -> float:
    """CPU time of an answer, of the other's."""
    return median(now.cpu_ms / before.cpu_ms for now, before in turns)


def rate_ratio(turns: Sequence[tuple[Load, Load]]) -> float:
    """Answers a second, of the other's."""
    return median(now.per_s / before.per_s for now, before in turns)


def report(turns: Turns, commit: str, took_s: float) -> str:
    """As Markdown."""
    rows = [
        [
            model, size,
            *(f"{median(getattr(load, value) for load in loads):.1f}" for value in ("cpu_ms", "per_s")
              for loads in zip(*rounds, strict=True)),
            f"{cpu_ratio(rounds):.3f}", f"{rate_ratio(rounds):.3f}",
        ]
        for (model, size), rounds in turns.items()
    ]  # fmt: skip
    figures = {f"cpu {size}": cpu_ratio(turns["thin", size]) for size in PHOTOS}
    figures |= {f"rate {size}": rate_ratio(turns["ViT-B/32", size]) for size in PHOTOS}
    idle = median(load.idle for rounds in turns.values() for both in rounds for load in both)
    return f"""# This server beside an earlier one

`python -m benchmarks.serving.beside` wrote this file in {took_s / 60:.0f} minutes: beside commit {commit}, with 10
known labels. The thin model's towers cost next to nothing. Medians of {len(turns["thin", "VGA"])} rounds in turns,
ratios by round; of the machine's time {idle:.0%} were idle, and its load was {os.getloadavg()[1]:.1f} in the end.

{bar_table(BESIDE, figures)}

{markdown(COLUMNS, rows)}

{machine()}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.beside", description=__doc__.split("\n\n")[0])
    parser.add_argument("other", type=Path, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args(arguments)
    since_s = time.perf_counter()
    turns = measure(asked.other.resolve(), asked.rounds)
    told = ["git", "-C", str(asked.other), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    path = REPORTS / cpu_kind() / "serving-beside.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(report(turns, commit, time.perf_counter() - since_s))
    print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
