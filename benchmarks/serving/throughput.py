"""How fast the server answers, beside transformers' pipeline and infinity-emb: benchmarks/serving.md.

    make bench               15 minutes on a quiet machine
    make bench QUICK=1       2 minutes, for development: into .bench/serve, and no figure to quote

Every ratio comes from this one run: the contenders are up at once and take turns, with as many one-thread workers as
the machine has cores. Each is a process of its own; its CPU is read from /proc.
"""

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from benchmarks import ROOT
from benchmarks.serving.agreement import Agreement, answered, compare, expected, scenes
from benchmarks.serving.client import Body, post
from benchmarks.serving.inputs import (
    SIZES_PX,
    THIN_WIDTH,
    classify,
    embed,
    infinity_embed,
    labels,
    photos,
    thin_config,
    write_checkpoint,
)
from benchmarks.serving.load import Load, clients
from benchmarks.serving.process import INFINITY, Server, infinity, ours, pipeline, running, understands
from benchmarks.serving.tables import Curve, Figures, Rounds, write_report
from benchmarks.serving.tower import Hardware, hardware

WORK = ROOT / ".bench/serve"
CHECKPOINT, THIN, PHOTOS = WORK / "checkpoint", WORK / f"thin-{THIN_WIDTH}", WORK / "photos"
SHIPPED = ROOT / "model/shipped"
LABELS = 10
Variants = Mapping[str, Mapping[str, str]]
"""Environments by contender."""

COLD_FROM = 1_000_000
"""The number of the first label that nobody has asked for; they end the same way, so the words stay as long."""
VARIANTS: Variants = {"ours": {}, "exact": {"EXACT": "1"}, "int8": {"PRECISION": "int8"}}
PATIENT = {"QUEUE_BUDGET_MS": "20000"}
"""The others refuse nobody, so what is compared with them does not either."""
FAST: Variants = {"bf16": {"PRECISION": "bf16"}}
CLIENTS_PER_WORKER = 8
"""So many wait that a server which makes batches can; for the others more make no difference."""
WARMING_ATTEMPTS = 40
"""New labels may take longer than a request may last; the server goes on, and they are ready at the next request."""


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int
    seconds: float
    many_labels: int
    label_counts: tuple[int, ...]
    sizes: tuple[str, ...]
    image_counts: tuple[int, ...]
    client_counts: tuple[int, ...]
    repeats: int
    scenes: int


FULL = Effort(
    rounds=5, seconds=3, many_labels=1000, label_counts=(2, 10, 100, 1000, 10_000), sizes=tuple(SIZES_PX),
    image_counts=(1, 4, 16, 64), client_counts=(1, 2, 4, 8, 16, 32), repeats=5, scenes=400,
)  # fmt: skip
QUICK = Effort(
    rounds=1, seconds=1, many_labels=100, label_counts=(2, 10, 100), sizes=("VGA", "12 MP"),
    image_counts=(1, 4), client_counts=(1, 4), repeats=2, scenes=40,
)  # fmt: skip
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
        self.images = {size: photos(PHOTOS, size, 8 if size == "VGA" else 2) for size in effort.sizes}

    def cases(self) -> list[Case]:
        """What is measured in rounds: first what is compared with the hardware."""
        e, several = self.effort, CLIENTS_PER_WORKER * self.workers
        ten, many = labels(LABELS), labels(e.many_labels)
        known = [name for name in ("ours", "exact", "int8", "pipeline") if name in self.groups]
        vectors = {name: self._each("VGA", embed) for name in ("ours", "exact")}
        vectors |= {"infinity": self._each("VGA", infinity_embed, "/embeddings")}
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
            for name, requests in case.requests.items():
                if (case.name, name) not in (("cold", "ours"), ("many", "pipeline")):
                    self.warm(name, requests)
        measured, cores = [], os.sched_getaffinity(0)
        for number in range(self.effort.rounds):
            measured.append(hardware(CHECKPOINT, PHOTOS, self.effort.seconds / 3, frozenset({max(cores)})))
            for case in cases:
                for name, requests in case.requests.items():
                    load = clients(self.groups[name], requests, case.clients, case.seconds)
                    found.setdefault(case.name, {}).setdefault(name, []).append(load)
                    _tell(f"round {number + 1}, {case.name}: {name}", load)
        return found, measured

    def warm(self, name: str, requests: Iterator[bytes]) -> None:
        """Ask until every server of the group has answered."""
        for server in self.groups[name]:
            for _ in range(WARMING_ATTEMPTS):
                if clients([server], requests, 1, 0).answered:
                    break

    def curves(self) -> Mapping[str, Curve]:
        """How latency and throughput grow, for ours and as far as it goes for the pipeline."""
        e = self.effort
        ten, vga = labels(LABELS), self.images["VGA"]
        by_labels = {count: [classify(vga[:1], labels(count))] for count in e.label_counts}
        by_size = {
            round(width * height / 1e6, 1): [classify([image], ten) for image in self.images[size]]
            for size, (width, height) in SIZES_PX.items()
            if size in self.images
        }
        by_images = {count: [classify((vga * 8)[:count], ten)] for count in e.image_counts}
        return {
            "labels": self._curve("labels", by_labels),
            "sizes": self._curve("sizes", by_size),
            "images": self._curve("images", by_images),
            "clients": self._clients_curve([classify([image], ten) for image in vga]),
        }

    def _curve(self, name: str, bodies: Mapping[int, list[Body]] | Mapping[float, list[Body]]) -> Curve:
        found: dict[str, dict[float, Load]] = {}
        for contender in ("ours", "pipeline"):
            limit = PIPELINE_LIMITS.get(name) if contender == "pipeline" else None
            for x, each in bodies.items():
                if contender in self.groups and (limit is None or x <= limit):
                    requests = itertools.cycle([post("/invocations", body) for body in each])
                    if contender == "ours":
                        self.warm(contender, requests)
                    load = clients(self.groups[contender], requests, 1, 0, self.effort.repeats)
                    found.setdefault(contender, {})[x] = load
                    _tell(f"{name} {x:g}: {contender}", load)
        return found

    def _clients_curve(self, bodies: Sequence[Body]) -> Curve:
        found: dict[str, dict[float, Load]] = {}
        for contender in ("ours", "pipeline"):
            for count in self.effort.client_counts:
                if contender in self.groups and (contender == "ours" or count <= PIPELINE_LIMITS["clients"]):
                    requests = itertools.cycle([post("/invocations", body) for body in bodies])
                    load = clients(self.groups[contender], requests, count, self.effort.seconds)
                    found.setdefault(contender, {})[count] = load
                    _tell(f"{count} clients: {contender}", load)
        return found


def _tell(what: str, load: Load) -> None:
    refused = len(load.samples) - len(load.answered)
    print(
        f"{what}: {load.per_s:.2f}/s, {load.cpu_ms:.1f} CPU ms, p50 {load.latency_ms(0.5):.1f} ms, "
        f"{refused} of {len(load.samples)} not answered, {load.idle:.0%} idle, {load.steal:.1%} stolen",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def agreements(workers: int, count: int) -> Mapping[str, Agreement]:
    """Every variant's answers about the world on the shipped checkpoint."""
    files = scenes(count)
    wanted = expected(SHIPPED, files)
    servers = [ours(name, SHIPPED, workers, **told) for name, told in offered({**VARIANTS, **FAST}).items()]
    with running(servers, WORK / "logs") as up:
        return {server.name: compare(wanted, answered(server, files)) for server in up}


def offered(variants: Variants) -> dict[str, Mapping[str, str]]:
    """Those whose variables the server knows."""
    return {name: told for name, told in variants.items() if all(map(understands, told))}


def measure(effort: Effort) -> Figures:
    """All the figures of the report."""
    workers = len(os.sched_getaffinity(0))
    write_checkpoint(CHECKPOINT)
    write_checkpoint(THIN, thin_config())
    servers = [ours(name, CHECKPOINT, workers, **PATIENT, **told) for name, told in offered(VARIANTS).items()]
    servers += [ours("thin", THIN, workers, **PATIENT), pipeline(CHECKPOINT, workers)]
    servers += [infinity(CHECKPOINT) for _ in range(workers)] if INFINITY.is_file() else []
    with running(servers, WORK / "logs") as up:
        if missing := {"ours", "thin", "pipeline"} - {server.name for server in up}:
            raise SystemExit(f"nothing can be compared without {', '.join(sorted(missing))}: see {WORK / 'logs'}")
        stand = Stand(up, effort, workers)
        found, measured = stand.rounds()
        curves = stand.curves()
    return Figures(measured, found, curves, agreements(workers, effort.scenes), workers, effort.many_labels)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving.throughput", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run into .bench/serve")
    parser.add_argument("--rounds", type=int, help="of every comparison (default 5)")
    given = parser.parse_args(arguments)
    effort = QUICK if given.quick else FULL
    if given.rounds:
        effort = replace(effort, rounds=given.rounds)
    begun_s = time.monotonic()
    figures = measure(effort)
    keep(figures)
    write_report(figures, time.monotonic() - begun_s, WORK / "quick" if given.quick else ROOT / "benchmarks")
    return 0


def keep(figures: Figures) -> None:
    """Every sample, for who wants to look closer."""
    raw = {
        "hardware": [asdict(each) for each in figures.hardware],
        "rounds": {
            case: {n: [load.raw() for load in loads] for n, loads in each.items()}
            for case, each in figures.rounds.items()
        },
        "curves": {
            name: {n: {x: load.raw() for x, load in points.items()} for n, points in curve.items()}
            for name, curve in figures.curves.items()
        },
        "agreements": {name: asdict(each) for name, each in figures.agreements.items()},
    }
    (WORK / "throughput.json").write_text(json.dumps(raw))


if __name__ == "__main__":
    raise SystemExit(main())
