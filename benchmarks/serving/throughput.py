"""How fast the server answers, beside transformers' pipeline and infinity-emb: serving.md, by kind of CPU.

    make bench               15 minutes on a quiet machine
    make bench QUICK=1       2 minutes, for development: into .bench/serve, and no figure to quote

Every ratio comes from this one run: the contenders are up at once and take turns, with as many one-thread workers as
the machine has cores. Each is a process of its own; its CPU is read from /proc.
"""

import argparse
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from benchmarks import REPORTS, SHIPPED
from benchmarks.machine import cpu_kind
from benchmarks.serving import requests
from benchmarks.serving.agreement import agreements
from benchmarks.serving.client import Body, post
from benchmarks.serving.hardware import Hardware, measure_alone
from benchmarks.serving.load import Load, clients
from benchmarks.serving.requests import CHECKPOINT, SIZES_PX, THIN_WIDTH, classify, labels, photos, write_clip
from benchmarks.serving.server import INFINITY, WORK, Server, infinity, ours, pipeline, running
from benchmarks.serving.tables import Curve, Figures, Rounds, write_report

THIN = WORK / f"thin-{THIN_WIDTH}"
LABELS = 10
VARIANTS: Mapping[str, Mapping[str, str]] = {"ours": {}, "exact": {"EXACT": "1"}, "int8": {"PRECISION": "int8"}}
"""The server's environments by contender."""
COMPARED_WITH_TRANSFORMERS = {**VARIANTS, "bf16": {"PRECISION": "bf16"}}
COLD_FROM = 1_000_000
"""The number of the first label that nobody has asked for; they end the same way, so the words stay as long."""
PATIENT = {"QUEUE_BUDGET_MS": "20000"}
"""The others refuse nobody, so what is compared with them does not either."""
CLIENTS_PER_WORKER = 8
"""So many wait that a server which makes batches can; for the others more make no difference."""
WARMING_ATTEMPTS = 40
"""New labels may take longer than a request may last; the server goes on, and they are ready at the next request."""


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int = 5
    seconds: float = 3
    many_labels: int = 1000
    label_counts: tuple[int, ...] = (2, 10, 100, 1000, 10_000)
    sizes: tuple[str, ...] = tuple(SIZES_PX)
    image_counts: tuple[int, ...] = (1, 4, 16, 64)
    client_counts: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    repeats: int = 5
    scenes: int = 400


QUICK = Effort(1, 1, 100, (2, 10, 100), ("VGA", "12 MP"), (1, 4), (1, 4), repeats=2, scenes=40)
PIPELINE_LIMITS = {"labels": 100, "images": 16, "clients": 8}
"""Beyond these a single request of the pipeline takes half a minute."""


@dataclass(frozen=True)
class Case:
    """A load that contenders take turns at: each its own endless requests."""

    name: str
    requests: Mapping[str, Iterator[bytes]]
    clients: int
    seconds: float


class Stand:
    """The contenders that are up, by name, and the images."""

    def __init__(self, up: Sequence[Server], effort: Effort, workers: int) -> None:
        self.groups = {name: [each for each in up if each.name == name] for name in dict.fromkeys(s.name for s in up)}
        self.effort = effort
        self.workers = workers
        self.images = {size: photos(size, 8 if size == "VGA" else 2) for size in effort.sizes}

    def cases(self) -> list[Case]:
        """What is measured in rounds: first what is compared with the hardware."""
        e, several = self.effort, CLIENTS_PER_WORKER * self.workers
        ten, many = labels(LABELS), labels(e.many_labels)
        known = [name for name in ("ours", "exact", "int8", "pipeline") if name in self.groups]
        vectors = {name: self._each("VGA", requests.embed) for name in ("ours", "exact")}
        vectors |= {"infinity": self._each("VGA", requests.infinity_embed, "/embeddings")}
        return [
            Case("VGA thin", {"thin": self._asking("VGA", ten)}, several, e.seconds / 2),
            Case("12 MP thin", {"thin": self._asking("12 MP", ten)}, several, e.seconds / 2),
            Case("VGA", {name: self._asking("VGA", ten) for name in known}, several, e.seconds),
            Case("12 MP", {name: self._asking("12 MP", ten) for name in known if name != "int8"}, several, e.seconds),
            Case("many", {"ours": self._asking("VGA", many)}, several, e.seconds / 2),
            Case("many", {"pipeline": self._asking("VGA", many)}, self.workers, 0),
            Case("cold", {"ours": self._cold()}, 1, 0),
            Case("vectors", {name: each for name, each in vectors.items() if name in self.groups}, several, e.seconds),
        ]

    def _asking(self, size: str, asked: Sequence[str]) -> Iterator[bytes]:
        return self._each(size, lambda images: classify(images, asked))

    def _each(self, size: str, body: Callable[[Sequence[bytes]], Body], path: str = "/invocations") -> Iterator[bytes]:
        return itertools.cycle([post(path, body([image])) for image in self.images[size]])

    def _cold(self) -> Iterator[bytes]:
        count, image = self.effort.many_labels, self.images["VGA"][0]
        for number in itertools.count():
            yield post("/invocations", classify([image], labels(count, COLD_FROM + number * count)))

    def rounds(self) -> tuple[Rounds, list[Hardware]]:
        """Let everybody take turns, after one request each that warms up, and the hardware as well."""
        cases = self.cases()
        found: dict[str, dict[str, list[Load]]] = {}
        for case in cases:
            for name, sent in case.requests.items():
                if (case.name, name) not in (("cold", "ours"), ("many", "pipeline")):
                    self.warm(name, sent)
        measured, cores = [], os.sched_getaffinity(0)
        for number in range(self.effort.rounds):
            measured.append(measure_alone(self.effort.seconds / 3, frozenset({max(cores)})))
            for case in cases:
                for name, sent in case.requests.items():
                    load = clients(self.groups[name], sent, case.clients, case.seconds)
                    found.setdefault(case.name, {}).setdefault(name, []).append(load)
                    _tell(f"round {number + 1}, {case.name}: {name}", load)
        return found, measured

    def warm(self, name: str, sent: Iterator[bytes]) -> None:
        """Ask until every server of the group has answered."""
        for server in self.groups[name]:
            for _ in range(WARMING_ATTEMPTS):
                if clients([server], sent, 1, 0).answered:
                    break

    def curves(self) -> Mapping[str, Curve]:
        """How latency and throughput grow, for ours and as far as it goes for the pipeline."""
        e = self.effort
        ten, vga = labels(LABELS), self.images["VGA"]
        sizes = {round(width * height / 1e6, 1): size for size, (width, height) in SIZES_PX.items() if size in e.sizes}
        questions: dict[str, Mapping[float, Sequence[Body]]] = {
            "labels": {count: [classify(vga[:1], labels(count))] for count in e.label_counts},
            "sizes": {mpixel: [classify([image], ten) for image in self.images[n]] for mpixel, n in sizes.items()},
            "images": {count: [classify((vga * 8)[:count], ten)] for count in e.image_counts},
            "clients": {count: [classify([image], ten) for image in vga] for count in e.client_counts},
        }
        return {name: self._curve(name, asked) for name, asked in questions.items()}

    def _curve(self, name: str, asked: Mapping[float, Sequence[Body]]) -> Curve:
        """A lone client asks a few times; or where the number of clients is what grows, all ask for a while."""
        found: dict[str, dict[float, Load]] = {}
        for contender, limit in (("ours", math.inf), ("pipeline", PIPELINE_LIMITS.get(name, math.inf))):
            for x, bodies in asked.items():
                if x > limit:
                    continue
                sent = itertools.cycle([post("/invocations", body) for body in bodies])
                if contender == "ours":
                    self.warm(contender, sent)
                count, seconds, at_least = (
                    (int(x), self.effort.seconds, 1) if name == "clients" else (1, 0.0, self.effort.repeats)
                )
                load = clients(self.groups[contender], sent, count, seconds, at_least)
                found.setdefault(contender, {})[x] = load
                _tell(f"{name} {x:g}: {contender}", load)
        return found


def _tell(what: str, load: Load) -> None:
    print(
        f"{what}: {load.per_s:.2f}/s, {load.cpu_ms:.1f} CPU ms, p50 {load.latency_ms(0.5):.1f} ms, "
        f"{load.unanswered} of {len(load.samples)} not answered, {load.idle:.0%} idle, {load.steal:.1%} stolen",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def measure(effort: Effort) -> Figures:
    """All the figures of the report."""
    workers = len(os.sched_getaffinity(0))
    write_clip()
    write_clip(THIN, requests.thin_config())
    servers = [ours(name, CHECKPOINT, workers, **PATIENT, **told) for name, told in VARIANTS.items()]
    servers += [ours("thin", THIN, workers, **PATIENT), pipeline(CHECKPOINT, workers)]
    servers += [infinity(CHECKPOINT) for _ in range(workers)] if INFINITY.is_file() else []
    with running(servers) as up:
        if missing := {"ours", "thin", "pipeline"} - {server.name for server in up}:
            raise SystemExit(f"nothing can be compared without {', '.join(sorted(missing))}: see {WORK / 'logs'}")
        stand = Stand(up, effort, workers)
        found, measured = stand.rounds()
        curves = stand.curves()
    variants = [ours(name, SHIPPED, workers, **told) for name, told in COMPARED_WITH_TRANSFORMERS.items()]
    return Figures(measured, found, curves, agreements(variants, effort.scenes), workers, effort.many_labels)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving.throughput", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run into .bench/serve")
    parser.add_argument("--rounds", type=int, help="of every comparison (default 5)")
    given = parser.parse_args(arguments)
    effort = QUICK if given.quick else Effort()
    if given.rounds:
        effort = replace(effort, rounds=given.rounds)
    begun_s = time.monotonic()
    figures = measure(effort)
    (WORK / "throughput.json").write_text(json.dumps(asdict(figures)))  # every sample, for who wants to look closer
    write_report(figures, time.monotonic() - begun_s, WORK / "quick" if given.quick else REPORTS / cpu_kind())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
