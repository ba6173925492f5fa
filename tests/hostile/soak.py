"""A soak of a local system: mixed traffic, good, bad and hostile, while its parts are killed, refuse and are replaced.

    make soak                 30 minutes, into benchmarks/soak.md
    make soak MINUTES=3       a short one into .bench/soak, for development and CI: no figure to quote

The exit status is 1 if a bar is missed.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import BENCH, REPORTS
from benchmarks.machine import machine
from benchmarks.process import PAGE_BYTES
from contract.routes import PAUSE_ENDPOINT, RESUME_ENDPOINT, ROUTES
from local import processes
from model.evaluation.chart import Axis, Series, line_chart, round_step
from model.evaluation.report import markdown
from tests.e2e.system import System, undeployed
from tests.hostile.door import SWITCH
from tests.hostile.judge import Answer
from tests.hostile.requests import PATHS
from tests.hostile.traffic import DATASET, JSON, KNOWN, LABELS, LATER, TASK, Caller, Client, Seen, collection
from tests.local.conftest import ROOT

WORK = BENCH / "soak"
FULL_MINUTES = 30
CALLERS = 4
SECOND = "soak-2"
"""The version that is promoted, with another temperature than the base, so that its scores are others."""
BASE = "base"

COLLECTION, UPLOADED = "collections/soak/", "uploads/soak/"
REFUSED_S = 6
SAMPLED_S = 5
PROMOTED_WITHIN_S = 240
SETTLED_WITHIN_S = 300
STUCK_S = 25
"""A known question to the container must be answered or refused by then."""

MAX_GROWTH_MB = {"endpoint": 300, "largest function": 50}
"""What is added between the second and the last quarter. The emulator keeps all that is stored in its memory, and a
process for each call of a function that ever ran at a time: what a function leaks is seen in the largest one of these.
"""


@dataclass
class Soak:
    """A system, and what was seen of it."""

    system: System
    seen: Seen
    client: Client
    events: list[tuple[float, str]] = field(default_factory=list)
    memory: list[tuple[float, Mapping[str, float]]] = field(default_factory=list)
    """MB by group of processes, over seconds."""
    pings: dict[int, int] = field(default_factory=dict)
    dishonest: list[str] = field(default_factory=list)
    failed_events: list[str] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    """How often each kind of event has happened."""

    def event(self, kind: str, what: str) -> None:
        self.done[kind] = self.done.get(kind, 0) + 1
        self.events.append((self.seen.now_s, what))
        print(f"  {self.seen.now_s:6.0f} s  {what}", flush=True)

    def failed(self, what: str) -> None:
        self.failed_events.append(f"{self.seen.now_s:.0f} s: {what}")
        print(f"  {self.seen.now_s:6.0f} s  FAILED: {what}", flush=True)


def second_checkpoint() -> Mapping[str, bytes]:
    """The shipped one, whose scores are less sure."""
    files = {path.name: path.read_bytes() for path in (ROOT / "model/shipped").iterdir() if path.is_file()}
    metadata = json.loads(files["wordsight.json"])
    metadata["version"] = SECOND
    metadata["calibration"]["temperature"] *= 1.5
    return {**files, "wordsight.json": json.dumps(metadata).encode()}


def prepare(soak: Soak) -> dict[str, dict[str, float]]:
    """Everything that the callers ask for, and the known scores of both versions."""
    system, client = soak.system, soak.client
    s3 = system.client("s3")
    data, artifacts = system.output("DataBucketName"), system.output("ArtifactsBucketName")
    for name, content in second_checkpoint().items():
        s3.put_object(Bucket=artifacts, Key=f"models/{SECOND}/{name}", Body=content)
    for name, (content, label) in collection().items():
        s3.put_object(Bucket=data, Key=f"{COLLECTION}{name}", Body=content)
        s3.put_object(Bucket=data, Key=f"{UPLOADED}{label or 'none'}/{name}", Body=content)
    last = (PAUSE_ENDPOINT, RESUME_ENDPOINT)
    for route in sorted(ROUTES, key=last.__contains__):  # once of each, of what is not there or says nothing
        client.send(route.method, route.path.format(**PATHS))
    in_service(soak)
    must(client.ask("PUT", f"/tasks/{TASK}", {"candidate_labels": list(LABELS)}), 200, 201)
    must(client.ask("DELETE", f"/tasks/{TASK}/teach"), 200)  # what is annotated is not to change the known scores
    must(client.ask("POST", "/models", {"s3_uri": f"s3://{artifacts}/models/{SECOND}/", "version": SECOND}), 201)
    scores = known_scores(client)
    promote(soak, SECOND)
    scores |= known_scores(client)
    promote(soak, BASE)
    return scores


def in_service(soak: Soak) -> None:
    """Resume the stage, and wait until it is back."""
    deadline = time.monotonic() + PROMOTED_WITHIN_S
    while must(soak.client.ask("GET", "/endpoint"), 200)["state"] != "in service":
        if time.monotonic() > deadline:
            raise SystemExit(f"a paused stage is not back after {PROMOTED_WITHIN_S} s")
        soak.client.ask("POST", "/endpoint/resume")
        time.sleep(1)


def known_scores(client: Client) -> dict[str, dict[str, float]]:
    """By version and label, how sure the live one is of each drawing. Raises SystemExit where it is wrong."""
    found: dict[str, dict[str, float]] = {}
    query = f"candidate_labels={','.join(LABELS)}"
    for label, image in KNOWN.items():
        answer = client.until_answered(
            lambda image=image: client.send("POST", "/classify", image, query, {"content-type": "image/png"}), label
        )
        best = must(answer, 200)[0]
        if best["label"] != label:
            raise SystemExit(f"the drawing of {label} is answered with {best}")
        found.setdefault(answer.headers["x-model-version"], {})[label] = best["score"]
    return found


def must(answer: Answer, *statuses: int) -> Any:
    """The JSON of an answer that the soak can't do without."""
    if answer.status not in statuses:
        raise SystemExit(f"{answer.status} instead of {statuses}: {answer.body[:500]!r}")
    return answer.json


def promote(soak: Soak, version: str) -> None:
    """Let a version go live, and wait for it."""
    begun = soak.client.ask("POST", f"/models/{version}/promote")
    if begun.status != 202:
        return soak.failed(f"promotion of {version}: {begun.status} {begun.body[:200]!r}")
    soak.event("promotion", f"promotion of {version} begins")
    id, until_s = begun.json["id"], time.monotonic() + PROMOTED_WITHIN_S
    while time.monotonic() < until_s:
        answer = soak.client.ask("GET", f"/models/{version}")
        promotion = answer.json.get("promotion") if answer.status == 200 else None
        if promotion and promotion["id"] == id and promotion["state"] in ("live", "failed"):
            if promotion["state"] == "failed":
                return soak.failed(f"promotion of {version}: {promotion['reason']}")
            return soak.event("live", f"{version} is live")
        time.sleep(1)
    return soak.failed(f"promotion of {version} is not over after {PROMOTED_WITHIN_S} s")


def family(parent: int) -> list[int]:
    """Processes that descend from one."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [parent]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def servers(system: System) -> list[int]:
    """The endpoint's containers: one, or two while an update is on its way."""
    emulator = processes.emulator_pid(system.settings)
    marked = processes.running(system.settings.directory)
    serving = [pid for pid in marked if "-m model.serving serve" in command_of(pid)]
    return [pid for pid in serving if _parent(pid) == emulator]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def kill_worker(soak: Soak) -> None:
    """As the kernel does that is out of memory, while a batch and an import ask it."""
    begin_long_work(soak, f"killed-{soak.done.get('worker kill', 0)}")
    for pid in servers(soak.system)[-1:]:
        os.kill(pid, signal.SIGKILL)
        return soak.event("worker kill", f"the endpoint's process {pid} is killed")
    return soak.failed("no process of the endpoint is there to be killed")


def kill_decoder(soak: Soak) -> None:
    """A process that decodes images, as the kernel does that is out of memory."""
    for server in servers(soak.system)[-1:]:
        children = [pid for pid in family(server) if "resource_tracker" not in command_of(pid)]
        decoders = [pid for pid in children if "decod" in command_of(pid)] or children
        if decoders:
            os.kill(decoders[-1], signal.SIGKILL)
            return soak.event("decoder kill", f"the decoder {decoders[-1]} is killed")
    return soak.failed("the endpoint has no process that decodes")


def refuse_s3(soak: Soak) -> None:
    """All of it, for a while, while a batch and an import read."""
    begin_long_work(soak, f"refused-{soak.done.get('S3 refusal', 0)}")
    switch = soak.system.settings.directory / SWITCH
    switch.touch()
    soak.event("S3 refusal", f"S3 refuses for {REFUSED_S} s")
    time.sleep(REFUSED_S)
    switch.unlink()


def schedule(minutes: float) -> list[Callable[[Soak], None]]:
    """What happens, in this order and at even distances: of 30 minutes 10 worker kills, and 3 of each other kind."""
    kills, others = max(2, round(minutes / 3)), max(1, round(minutes / 10))
    promotions = [each for _ in range(others) for each in (_promote_second, _promote_base)]
    queues = [[kill_worker] * kills, promotions, [kill_decoder] * others, [refuse_s3] * others]
    total = sum(map(len, queues))
    placed = [((place + 0.5) / len(queue), each) for queue in queues for place, each in enumerate(queue)]
    assert len(placed) == total
    return [each for _, each in sorted(placed, key=lambda item: item[0])]


def _promote_second(soak: Soak) -> None:
    promote(soak, SECOND)


def _promote_base(soak: Soak) -> None:
    promote(soak, BASE)


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do something in a thread until the block ends."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def sample_memory(soak: Soak, over: threading.Event) -> None:
    """Resident memory of the endpoint's larger container with its children, of the functions, and of the emulator."""
    while not over.wait(SAMPLED_S):
        emulator = processes.emulator_pid(soak.system.settings) or 0
        containers = [{server, *family(server)} for server in servers(soak.system)]
        functions = {*processes.running(soak.system.settings.directory)}.difference({emulator}, *containers)
        endpoint = max((sum(map(_resident_mb, pids)) for pids in containers), default=0.0)
        each = [_resident_mb(pid) for pid in functions]
        others = {"functions": sum(each), "largest function": max(each, default=0.0)}
        soak.memory.append((soak.seen.now_s, {"endpoint": endpoint, **others, "emulator": _resident_mb(emulator)}))


def _resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 1e6
    except (OSError, IndexError):
        return 0.0


def probe(soak: Soak, over: threading.Event) -> None:
    """/ping and a known question, straight to the container. It is dishonest to be well and not to answer."""
    body = json.dumps({"operation": "embed", "inputs": {"texts": ["a fish"]}}).encode()
    while not over.wait(1):
        server = next(iter(servers(soak.system)[-1:]), None)
        port = _port_of(server) if server else None
        if port is None:
            continue
        pinged = _ask(port, "GET", "/ping", b"")
        soak.pings[pinged] = soak.pings.get(pinged, 0) + 1
        if pinged == 200 and _ask(port, "POST", "/invocations", body) == 0 and server in servers(soak.system):
            still = _ask(port, "GET", "/ping", b"")
            if still == 200:
                soak.dishonest.append(f"{soak.seen.now_s:.0f} s: /ping says 200, and a text is not embedded")


def _ask(port: int, method: str, path: str, body: bytes) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=STUCK_S)
    try:
        connection.request(method, path, body, {"content-type": JSON})
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


def _port_of(pid: int) -> int | None:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    found = [each.partition(b"=")[2] for each in variables if each.startswith(b"SAGEMAKER_BIND_TO_PORT=")]
    return int(found[0]) if found else None


def start_long_work(soak: Soak, over: threading.Event) -> None:
    """A batch and an import, one after the other."""
    number = 0
    while not over.wait(5):
        number += 1
        begin_long_work(soak, str(number))
        if over.wait(25):
            return


def begin_long_work(soak: Soak, name: str) -> None:
    parameters = {"candidate_labels": list(LABELS), "top_k": 1}
    batch = soak.client.ask(
        "POST", "/batches", {"s3_prefix": COLLECTION, "parameters": parameters}, **_key(f"batch-{name}")
    )
    if batch.status == 202:
        soak.seen.batches.add(batch.json["id"])
    imported = soak.client.ask(
        "POST", "/annotations/imports", {"s3_prefix": UPLOADED, "dataset": "soak-imported"}, **_key(f"import-{name}")
    )
    if imported.status == 202:
        soak.seen.imports.add(imported.json["id"])


def _key(name: str) -> dict[str, str]:
    return {"idempotency-key": f"soak-{name}"}


def lost(soak: Soak) -> list[str]:
    """What was acknowledged and is not there, or is something else."""
    found = []
    client = soak.client
    records = {record["id"] for page in _pages(client, DATASET) for record in page["annotations"]}
    found += [f"annotation {id}" for id in soak.seen.annotations - records]
    for name in soak.seen.tasks:
        if client.ask("GET", f"/tasks/{name}").status != 200:
            found.append(f"task {name}")
    images = collection()
    good = sum(label is not None for _, label in images.values())
    for id in sorted(soak.seen.imports):
        over = _settled(client, f"/annotations/imports/{id}", ("done", "failed"))
        if (over.get("state"), over.get("stored"), over.get("problem_records")) != ("done", good, len(images) - good):
            found.append(f"import {id}: {str(over)[:300]}")
    s3, bucket = soak.system.client("s3"), soak.system.output("DataBucketName")
    for id in sorted(soak.seen.batches):
        over = _settled(client, f"/batches/{id}", ("done", "failed", "stopped"))
        if (over.get("state"), over.get("results"), over.get("problems")) != ("done", good, len(images) - good):
            found.append(f"batch {id}: {str(over)[:300]}")
            continue
        for line in _lines(s3, bucket, over["results_s3_prefix"]):
            label = images[line["s3_key"].removeprefix(COLLECTION)][1]
            if line["answer"][0]["label"] != label:
                soak.seen.wrong.append(f"batch {id}: {label} is answered with {line['answer'][0]}")
    return found


def _pages(client: Client, dataset: str) -> Iterator[Any]:
    after = ""
    while True:
        page = must(client.ask("GET", f"/annotations?dataset={dataset}{after}"), 200)
        yield page
        if not page["next"]:
            return
        after = f"&after={page['next']}"


def _settled(client: Client, path: str, states: Sequence[str]) -> Any:
    until_s = time.monotonic() + SETTLED_WITHIN_S
    while True:
        answer = client.ask("GET", path)
        if answer.status != 200 or answer.json["state"] in states or time.monotonic() > until_s:
            return answer.json
        time.sleep(1)


def _lines(s3: Any, bucket: str, prefix: str) -> Iterator[Any]:
    for each in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        content = s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
        yield from map(json.loads, content.splitlines())


def run(soak: Soak, minutes: float) -> list[str]:
    """Everything at once, and then what is lost."""
    scores = prepare(soak)
    print(f"  {soak.seen.now_s:6.0f} s  the soak begins, of {', '.join(scores)}", flush=True)
    callers = [Caller(soak.client, scores, seed) for seed in range(1, CALLERS + 1)]
    events = schedule(minutes)
    pause_s = 60 * minutes / (len(events) + 1)
    begun_s = soak.seen.now_s
    works = [caller.run for caller in callers]
    works += [lambda over, w=work: w(soak, over) for work in (sample_memory, probe, start_long_work)]
    stack = [beside(work) for work in works]
    for each in stack:
        each.__enter__()
    try:
        for number, act in enumerate(events, start=1):
            time.sleep(max(0.0, begun_s + number * pause_s - soak.seen.now_s))
            act(soak)
        time.sleep(max(0.0, begun_s + 60 * minutes - soak.seen.now_s))
    finally:
        for each in reversed(stack):
            each.__exit__(None, None, None)
    print(f"  {soak.seen.now_s:6.0f} s  the callers stop; what they were acknowledged is looked for", flush=True)
    return lost(soak)


def growth_mb(memory: Sequence[tuple[float, Mapping[str, float]]], group: str) -> float:
    """Between the medians of the second and the last quarter: in the first one things begin."""
    values = [found[group] for _, found in memory if found[group]]
    quarter = len(values) // 4
    return median(values[-quarter:]) - median(values[quarter : 2 * quarter]) if quarter else 0.0


def slope_mb_per_h(memory: Sequence[tuple[float, Mapping[str, float]]], group: str) -> float:
    """By least squares."""
    points = [(at_s / 3600, found[group]) for at_s, found in memory]
    if len(points) < 2:
        return 0.0
    middle = [sum(column) / len(points) for column in zip(*points, strict=True)]
    spread = sum((x - middle[0]) ** 2 for x, _ in points)
    return sum((x - middle[0]) * (y - middle[1]) for x, y in points) / spread if spread else 0.0


def bars(soak: Soak, lost: Sequence[str], minutes: float) -> list[tuple[str, str, str, bool]]:
    """Each bar: what, the figure, what must be, and whether it is."""
    wanted = [each.__name__ for each in schedule(minutes)]
    counted = {
        "worker kills": ("worker kill", wanted.count("kill_worker")),
        "decoder kills": ("decoder kill", wanted.count("kill_decoder")),
        "S3 refusals": ("S3 refusal", wanted.count("refuse_s3")),
        "promotions and rollbacks that went live": (
            "live",
            2 + wanted.count("_promote_second") + wanted.count("_promote_base"),
        ),
    }
    asked = {named for _, named, _, _ in soak.seen.samples}
    missing = sorted({f"{route.method} {route.path}" for route in ROUTES} - asked)
    found = [
        ("wrong answers", str(len(soak.seen.wrong)), "0", not soak.seen.wrong),
        ("undocumented answers", str(len(soak.seen.undocumented)), "0", not soak.seen.undocumented),
        ("lost, of what was acknowledged", str(len(lost)), "0", not lost),
        ("good requests given up", str(len(soak.seen.given_up)), "0", not soak.seen.given_up),
        ("/ping well, and no answer", str(len(soak.dishonest)), "0", not soak.dishonest),
        ("events that failed", str(len(soak.failed_events)), "0", not soak.failed_events),
        ("operations never asked", ", ".join(missing) or "0", "0", not missing),
    ]
    for what, (kind, count) in counted.items():
        found.append((what, str(soak.done.get(kind, 0)), f"≥ {count}", soak.done.get(kind, 0) >= count))
    for group, most in MAX_GROWTH_MB.items():
        grown = growth_mb(soak.memory, group)
        found.append((f"growth of memory: {group}", f"{grown:.0f} MB", f"≤ {most} MB", grown <= most))
    return found


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def traffic_table(samples: Sequence[tuple[float, str, int, float]]) -> str:
    """Counts by operation and kind of status, with latencies of what was answered."""
    rows = []
    for named in sorted({named for _, named, _, _ in samples}):
        own = [(status, took_s) for _, found, status, took_s in samples if found == named]
        answered = [1000 * took_s for status, took_s in own if 200 <= status < 300]
        counts = [sum(status // 100 == kind for status, _ in own) for kind in (2, 4, 5, 0)]
        later = sum(status in LATER for status, _ in own)
        latencies = [f"{percentile(answered, share):,.0f}" if answered else "–" for share in (0.5, 0.99)]
        rows.append([named, f"{len(own):,}", *(f"{count:,}" for count in counts), f"{later:,}", *latencies])
    return markdown(["operation", "asked", "2xx", "4xx", "5xx", "none", "later", "p50, ms", "p99, ms"], rows)


def failures(soak: Soak, lost: Sequence[str]) -> dict[str, Sequence[str]]:
    """What must be nothing and was something, by its name."""
    all_of_them: dict[str, Sequence[str]] = {
        "Wrong": soak.seen.wrong, "Undocumented": soak.seen.undocumented, "Lost": lost, "Given up": soak.seen.given_up,
        "Dishonest": soak.dishonest, "Failed events": soak.failed_events,
    }  # fmt: skip
    return {name: listed for name, listed in all_of_them.items() if listed}


def write_report(
    soak: Soak, found: Sequence[tuple[str, str, str, bool]], lost: Sequence[str], minutes: float, to: Path
) -> None:
    """soak.md with the chart of memory; all figures as JSON into .bench/soak."""
    to.mkdir(parents=True, exist_ok=True)
    WORK.mkdir(parents=True, exist_ok=True)
    kept = {
        "minutes": minutes, "machine": machine(), "bars": found, "events": soak.events, "memory": soak.memory,
        "pings": soak.pings, "wrong": soak.seen.wrong, "undocumented": soak.seen.undocumented, "lost": list(lost),
        "given_up": soak.seen.given_up, "dishonest": soak.dishonest, "failed_events": soak.failed_events,
        "samples": soak.seen.samples,
    }  # fmt: skip
    (WORK / "soak.json").write_text(json.dumps(kept, indent=1))
    groups = [name for name in ("endpoint", "functions", "largest function", "emulator") if soak.memory]
    series = [Series(name, [(at_s / 60, mb[name]) for at_s, mb in soak.memory]) for name in groups]
    highest = max((y for one in series for _, y in one.points), default=1)
    last = max((x for one in series for x, _ in one.points), default=1)
    chart = line_chart("Resident memory", Axis("minutes", 0, last), Axis("MB", 0, round_step(highest)), series)
    (to / "soak-memory.svg").write_text(chart)
    figures = {
        name: (max(mb[name] for _, mb in soak.memory), growth_mb(soak.memory, name), slope_mb_per_h(soak.memory, name))
        for name in groups
    }
    slopes = [
        [name, f"{most:,.0f}", f"{grown:+,.0f}", f"{slope:+,.0f}"] for name, (most, grown, slope) in figures.items()
    ]
    told = "\n\n".join(
        f"### {name}\n\n" + "\n".join(f"- `{each[:300]}`" for each in listed[:20])
        for name, listed in failures(soak, lost).items()
    )
    kinds = len({status for _, _, status, _ in soak.seen.samples})
    rows = [[what, figure, bound, "met" if met else "**missed**"] for what, figure, bound, met in found]
    pings = ", ".join(f"{status or 'nothing'} {count:,} times" for status, count in sorted(soak.pings.items()))
    (to / "soak.md").write_text(f"""# A soak of {minutes:g} minutes

`make soak` wrote this file. {machine()}.

{CALLERS} callers ask a local system, which is up for this alone, without a pause worth its name: drawings whose answers
are known in every encoding, saved tasks, annotations with idempotency keys, uploads, imports and batches, between them
the images and requests of `tests/hostile/`. Meanwhile processes are killed, S3 refuses, and versions are promoted and
rolled back. They had {len(soak.seen.samples):,} answers of {kinds} statuses.

{markdown(["bar", "figure", "must", ""], rows)}

"Later" are 429, 503 and 504, which say when to ask again. /ping said {pings}.

{traffic_table(soak.seen.samples)}

## What happened

{markdown(["minute", "event"], [[f"{at_s / 60:.1f}", what] for at_s, what in soak.events])}

## Memory

{markdown(["", "most, MB", "last quarter against the second", "MB an hour"], slopes)}

The emulator keeps everything that is stored, images and logs, in its memory.

![Memory](soak-memory.svg)
{f"{chr(10)}## What was missed{chr(10)}{chr(10)}{told}{chr(10)}" if told else ""}""")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the report. The exit status is 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.soak", description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=FULL_MINUTES)
    minutes = parser.parse_args(arguments).minutes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a system that is up is removed
    with tempfile.TemporaryDirectory() as directory, undeployed(Path(directory) / "local") as system:
        with processes.exclusive(system.settings):
            processes.start(system.settings, "tests.hostile.door")
        up = system.run("up")
        if up.returncode:
            raise SystemExit(up.stdout + up.stderr)
        seen = Seen()
        soak = Soak(system, seen, Client(system.url, system.api_key, seen))
        missing = run(soak, minutes)
    found = bars(soak, missing, minutes)
    to = REPORTS if minutes >= FULL_MINUTES else WORK
    write_report(soak, found, missing, minutes, to)
    missed = [what for what, _, _, met in found if not met]
    for name, listed in failures(soak, missing).items():
        print("\n".join(f"{name}: {each[:1000]}" for each in listed[:20]))
    print(f"{to / 'soak.md'}: " + (f"missed are {', '.join(missed)}" if missed else "every bar is met"))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
