"""How long it takes from nothing to an answer: cold-start.md, by kind of CPU.

    python -m benchmarks.serving.cold_start                        a part of `make bench`, 2 minutes of it
    python -m benchmarks.serving.cold_start --beside ../before     and another checkout's starts, in turns with these

The server and the function are started with ViT-B/32's shape and random weights, with files that the system has in
memory, as after a first start. A Lambda's module is imported by a process of its own on one core.
"""

import argparse
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from benchmarks import REPORTS, ROOT
from benchmarks.machine import cpu_kind, machine
from benchmarks.process import ProcessError, pinned, usage
from benchmarks.serving.bars import START, bar_table
from benchmarks.serving.requests import CHECKPOINT, classify, labels, photos, write_clip
from benchmarks.serving.runtime_api import FakeRuntimeApi, runtime_api
from benchmarks.serving.server import WORK, ours
from lambdas.settings import PROCESS
from model.evaluation.report import markdown

ROUNDS = 5
LABELS = 10
NOW = "now"
IMPORT = "import time; since_s = time.perf_counter(); import {}; print(time.perf_counter() - since_s)"


@dataclass(frozen=True)
class Start:
    """Seconds from the start of a process until it is ready, and until it has answered a VGA photograph with LABELS new
    labels; and the CPU seconds of all its processes until it was ready.
    """

    ready_s: float
    answered_s: float
    cpu_s: float


def start_server(root: Path = ROOT) -> Start:
    """`serve`, ready when /ping says so; of the checkout at `root`. Raises ProcessError."""
    server = ours("start", CHECKPOINT)
    since_s = time.perf_counter()
    server.start(WORK / "logs/cold-start.log", root=root)
    try:
        ready_s, cpu_s = time.perf_counter() - since_s, server.usage.cpu_s
        content_type, body = question()
        connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("POST", "/invocations", body, {"content-type": content_type})
        answer = connection.getresponse()
        check(answer.status, answer.read())
        connection.close()
        return Start(ready_s, time.perf_counter() - since_s, cpu_s)
    finally:
        server.stop()


def start_function() -> Start:
    """`function`, ready when it asks for an invocation. Raises ProcessError."""
    with runtime_api() as api:
        environ = {"AWS_LAMBDA_RUNTIME_API": api.host_and_port, "SM_MODEL_DIR": str(CHECKPOINT), "OMP_NUM_THREADS": "1"}
        since_s = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "model.serving", "function"],
            cwd=ROOT,
            env=os.environ | environ,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return _first_answer(api, process.pid, since_s)
        finally:
            process.kill()
            process.wait()


def _first_answer(api: FakeRuntimeApi, session: int, since_s: float) -> Start:
    api.asked_for.get(timeout=120)
    ready_s, cpu_s = time.perf_counter() - since_s, usage(session).cpu_s
    content_type, body = question()
    answer = api.invoke(body, content_type)
    check(answer.status, answer.body.encode())
    return Start(ready_s, time.perf_counter() - since_s, cpu_s)


def question() -> tuple[str, bytes]:
    """What is asked first."""
    return classify(photos("VGA", 1), labels(LABELS))


def check(status: int, body: bytes) -> None:
    """Raises ProcessError if it was no answer."""
    if status != 200:
        raise ProcessError(f"the first request was answered with {status}: {body.decode(errors='replace')[:500]}")


def lambda_modules(root: Path = ROOT) -> list[str]:
    """Those that AWS imports, by name."""
    return [f"lambdas.{path.parent.name}.main" for path in sorted((root / "lambdas").glob("*/main.py"))]


def import_s(module: str, root: Path = ROOT) -> float:
    """In a process of its own on one core, which has compiled it before."""
    with pinned({max(os.sched_getaffinity(0))}):
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-c", IMPORT.format(module)],
            cwd=root,
            env=os.environ | (PROCESS if root == ROOT else {}),
            capture_output=True,
            text=True,
            check=True,
        )
    return float(done.stdout)


@dataclass(frozen=True)
class Found:
    """What was measured, a figure for each round: by program, and by checkout and module."""

    starts: Mapping[str, Sequence[Start]]
    imports: Mapping[str, Mapping[str, Sequence[float]]]

    def figures(self) -> dict[str, float]:
        """For the bars."""
        return {
            "ping": median(each.ready_s for each in self.starts["serve"]),
            "first": median(each.answered_s for each in self.starts["function"]),
            "import": max(map(median, self.imports[NOW].values())),
        }


def measure(rounds: int, before: Path | None) -> Found:
    """All of it, in turns."""
    write_clip()
    roots = {NOW: ROOT, **({"before": before} if before else {})}
    starters: dict[str, Callable[[], Start]] = {"serve": start_server, "function": start_function}
    if before:
        starters["serve, before"] = partial(start_server, before)
    starts: dict[str, list[Start]] = {name: [] for name in starters}
    imports: dict[str, dict[str, list[float]]] = {
        checkout: {module: [] for module in lambda_modules(root)} for checkout, root in roots.items()
    }
    for number in range(rounds + 1):
        for name, start in starters.items():
            starts[name].append(start())
            print(f"round {number}, {name}: {starts[name][-1]}", file=sys.stderr, flush=True)
        for module, checkout in itertools.product(imports[NOW], roots):
            if module in imports[checkout]:
                imports[checkout][module].append(import_s(module, roots[checkout]))
    return Found(  # without the first round, which compiles
        {name: each[1:] for name, each in starts.items()},
        {checkout: {module: each[1:] for module, each in found.items()} for checkout, found in imports.items()},
    )


def report(found: Found, took_s: float) -> str:
    """The report, as Markdown."""
    fields = ("ready_s", "answered_s", "cpu_s")
    starts = [
        [name, *(f"{median(getattr(each, field) for each in rounds):.2f}" for field in fields)]
        for name, rounds in found.starts.items()
    ]
    imports = [
        [module, *(f"{median(each[module]):.2f}" if module in each else "–" for each in found.imports.values())]
        for module in found.imports[NOW]
    ]
    return f"""# How long starts take

`make bench` (`python -m benchmarks.serving.cold_start`) wrote this file in {took_s / 60:.0f} minutes. {machine()}.

A model of openai/clip-vit-base-patch32's shape with random weights; files are in the system's memory. Medians of
{len(found.starts["serve"])} rounds in which all take turns, after one that is not counted.

## The bars

{bar_table(START, found.figures())}

## The model

Seconds from the start of the process. A server is ready when `/ping` is healthy, a function when it asks Lambda for an
invocation; the first answer is about a VGA photograph, with {LABELS} new labels. CPU seconds are those of all processes
until it is ready.

{markdown(["", "ready", "first answer", "CPU"], starts)}

## The Lambdas

Seconds to import a Lambda's module in a new process on one core.

{markdown(["", *found.imports], imports)}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.cold_start", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round, into .bench/serve")
    parser.add_argument("--rounds", type=int, help=f"how often each is started (default {ROUNDS})")
    parser.add_argument("--beside", type=Path, help="another checkout, to compare with")
    asked = parser.parse_args(arguments)
    since_s = time.perf_counter()
    found = measure(asked.rounds or (1 if asked.quick else ROUNDS), asked.beside and asked.beside.resolve())
    path = (WORK / "quick" if asked.quick else REPORTS / cpu_kind()) / "cold-start.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report(found, time.perf_counter() - since_s))
    print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
