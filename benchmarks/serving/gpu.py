"""What serving makes of a GPU: benchmarks/serving-gpu.md.

    make bench-gpu        or: python -m benchmarks.serving.gpu        5 minutes

Needs CUDA and the product's packages, and no network. Without OpenAI's tokenizer, which `make bench` downloads, the
shipped checkpoint's stands in: labels cost a little less then, images the same.
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from transformers import CLIPModel

from benchmarks import REPORTS, SHIPPED
from benchmarks.machine import machine
from benchmarks.process import Cores, pinned
from benchmarks.serving.agreement import Agreement, agreements
from benchmarks.serving.bars import GPU, bar_table
from benchmarks.serving.client import closed_loop, open_loop
from benchmarks.serving.hardware import Product, gemm_peak, tower_gflop, typical_s
from benchmarks.serving.load import Columns, Load, clients, in_processes, load_table
from benchmarks.serving.overload import evenly
from benchmarks.serving.requests import CHECKPOINT, MERGES, photos, vga_questions, write_clip
from benchmarks.serving.server import WORK, ours, pipeline, running
from contract.containers import Precision
from model.clip.checkpoint import load_checkpoint
from model.clip.device import describe_cuda
from model.clip.encode import Clip
from model.clip.folder import check_folder
from model.clip.processing import Processing
from model.evaluation.report import markdown
from model.serving.load import DTYPES, load_towers
from model.serving.towers import Towers

PEAK_SHAPES: tuple[Product, ...] = ((4096, 4096, 4096), (8192, 8192, 8192), (12800, 3072, 768))
"""The last one is the widest layer of the tower at batch 256."""
PRECISIONS: tuple[Precision, ...] = ("fp16", "bf16")
DEFAULT = PRECISIONS[0]
"""What the server takes on a GPU: CLIP was trained so, and every GPU has it."""
BATCHES = (1, 8, 64, 256)
CLIENTS = 64
LOADED = 0.8
GENERATORS = 4
"""Processes, and cores that they have for themselves where there are twice as many. One sends some 2,000 photos a s."""
TOWER_S, LOAD_S, SCENES = 2.0, 10.0, 400
"""How long each part lasts, and of how many scenes answers are compared."""


COLUMNS: Columns = {
    "requests/s": lambda load: f"{load.per_s:,.0f}",
    "not answered": lambda load: f"{load.unanswered:,}",
    "p50, ms": lambda load: f"{load.latency_ms(0.5):,.1f}",
    "p99, ms": lambda load: f"{load.latency_ms(0.99):,.1f}",
    "server CPU ms": lambda load: f"{load.cpu_ms:.2f}",
    "idle": lambda load: f"{load.idle:.0%}",
}


@dataclass(frozen=True)
class Tower:
    """In process. `ms`: of one image tower call by precision and batch size, `eager_ms` that of transformers in fp32;
    `images_per_s`: what the server's workers embed together, as fast as they can.
    """

    gflop: float
    peak_gflops: dict[str, float]
    ms: dict[str, dict[int, float]]
    eager_ms: dict[int, float]
    images_per_s: float


@dataclass(frozen=True)
class Served:
    """Over HTTP; `decoded_per_s`: what a thread for each of the server's cores decodes and prepares, all together."""

    lone: Load
    full: Load
    loaded: Load
    decoded_per_s: float
    pipeline: Load | None
    agreement: Agreement


@torch.inference_mode()
def measure_tower(device: str) -> Tower:
    """Everything that needs no server."""
    peaks: dict[str, float] = {name: gemm_peak(DTYPES[name], device, TOWER_S, PEAK_SHAPES) for name in PRECISIONS}
    ms: dict[str, dict[int, float]] = {}
    images_per_s = 0.0
    for name in PRECISIONS:
        clip, towers = load_towers(CHECKPOINT, check_folder(CHECKPOINT), device, name)
        pixels = torch.randint(0, 256, clip.blank_pixels(max(BATCHES)).shape, dtype=torch.uint8)
        ms[name] = {n: 1000 * typical_s(_one_call(clip, towers, pixels[:n]), device, TOWER_S) for n in BATCHES}
        if name == DEFAULT:
            some = pixels[: towers.batch_sizes[-1]]
            images_per_s = len(some) * calls_per_s([partial(embed, some) for embed in towers.workers], LOAD_S)
    theirs = CLIPModel.from_pretrained(CHECKPOINT, local_files_only=True).eval().to(device)
    there = torch.randn(pixels.shape).to(device)

    def eager(count: int) -> torch.Tensor:
        features: torch.Tensor = theirs.get_image_features(pixel_values=there[:count]).pooler_output
        return features.cpu()

    eager_ms = {n: 1000 * typical_s(partial(eager, n), device, TOWER_S) for n in BATCHES}
    return Tower(tower_gflop(theirs.config), peaks, ms, eager_ms, images_per_s)


def _one_call(clip: Processing, towers: Towers, pixels: torch.Tensor) -> Callable[[], object]:
    """A worker's, or for more images than it takes at a time the same tower without a graph."""
    if len(pixels) <= towers.batch_sizes[-1] or not isinstance(clip, Clip):
        return partial(towers.workers[0], pixels)
    there = pixels.to(clip.device)
    return lambda: clip.encode_images(there).cpu()


def calls_per_s(workers: Sequence[Callable[[], object]], seconds: float) -> float:
    """Calls a second of all together, each over and over in a thread of its own."""
    deadline_s = time.monotonic() + seconds

    def count(work: Callable[[], object]) -> int:
        done = 0
        while time.monotonic() < deadline_s:
            work()
            done += 1
        return done

    with ThreadPoolExecutor(len(workers)) as pool:
        return sum(pool.map(count, workers)) / seconds


def decoded_per_s(cores: Cores) -> float:
    """Photos a second that a pool with a thread per core decodes and prepares, as the server does."""
    clip, images = Clip(load_checkpoint(CHECKPOINT), exact=False), itertools.cycle(photos("VGA", 8))
    with pinned(cores):
        return calls_per_s([lambda: clip.preprocess(clip.open(next(images))[0])] * len(cores), LOAD_S)


def measure_served(cores: Cores) -> Served:
    """Everything that needs a server, which has `cores`; the generators have what is left."""
    requests = vga_questions()
    with running([ours("ours", CHECKPOINT, EXPECT_GPU="1")], cores) as up:
        if not up:
            raise SystemExit("the server did not start on this GPU: see above")
        (server,) = up
        clients(up, itertools.cycle(requests), CLIENTS, LOAD_S / 2)
        lone = clients(up, itertools.cycle(requests), 1, LOAD_S)
        crowd = partial(closed_loop, [server.port], clients=CLIENTS // GENERATORS, seconds=LOAD_S)
        full = in_processes(server, requests, [crowd] * GENERATORS)
        due_s = evenly(LOADED * full.per_s, LOAD_S)
        turns = [partial(open_loop, server.port, due_s=due_s[number::GENERATORS]) for number in range(GENERATORS)]
        loaded = in_processes(server, requests, turns)
    decoded, theirs = decoded_per_s(cores), None
    with running([pipeline(CHECKPOINT, len(cores))], cores) as up:
        if up:
            clients(up, itertools.cycle(requests), CLIENTS, LOAD_S / 2)
            theirs = clients(up, itertools.cycle(requests), CLIENTS, LOAD_S)
    with pinned(cores):
        (agreement,) = agreements([ours("shipped", SHIPPED, EXPECT_GPU="1")], SCENES).values()
    return Served(lone, full, loaded, decoded, theirs, agreement)


def bar_figures(tower: Tower, served: Served) -> dict[str, float]:
    """A figure for every bar."""
    largest = max(BATCHES)
    speed = tower.gflop * largest / (tower.ms[DEFAULT][largest] / 1000)
    figures = {
        "peak": speed / tower.peak_gflops["bf16"],
        "eager": tower.eager_ms[largest] / tower.ms[DEFAULT][largest],
        "latency": tower.ms[DEFAULT][1] / tower.eager_ms[1],
        "decode": served.full.per_s / served.decoded_per_s,
        "rate": tower.images_per_s,
        "p99": served.loaded.latency_ms(0.99) / served.lone.latency_ms(0.5),
        "argmax": served.agreement.argmax,
    }
    return figures | ({"pipeline": served.full.per_s / served.pipeline.per_s} if served.pipeline else {})


def write_report(tower: Tower, served: Served, cores: Cores, took_s: float, path: Path) -> None:
    """Write benchmarks/serving-gpu.md."""
    tokenizer = "OpenAI's tokenizer" if MERGES.is_file() else "the shipped checkpoint's tokenizer"
    tower_rows = [
        [
            f"{n}",
            f"{tower.eager_ms[n]:.2f}",
            *(f"{ms[n]:.2f} ({tower.gflop * n / ms[n]:,.0f})" for ms in tower.ms.values()),
        ]
        for n in BATCHES
    ]  # GFLOP a ms are TFLOP a s
    loads = {
        "Wordsight, one client": served.lone, f"Wordsight, {CLIENTS} clients": served.full,
        f"Wordsight, {LOADED:.0%} of that, evenly": served.loaded,
        f"transformers' pipeline, {CLIENTS} clients": served.pipeline,
    }  # fmt: skip
    load_rows = [([what], load) for what, load in loads.items() if load]
    peaks = ", ".join(f"{name} {gflops / 1000:,.0f}" for name, gflops in tower.peak_gflops.items())
    path.write_text(f"""# How fast serving is on a GPU

`make bench-gpu` wrote this file in {took_s / 60:.0f} minutes. {describe_cuda()}; {machine()}.

A ViT-B/32 with random weights and {tokenizer}. The server runs on its defaults and has {len(cores)} cores; the load
generator runs on the others.

{bar_table(GPU, bar_figures(tower, served), {"pipeline": "the pipeline did not start"})}

## The image tower, in process

ms a call from pixels to vectors on the host, and TFLOP/s; {tower.gflop:.2f} GFLOP an image. Pixels are on the device
for transformers and for 256 images, which the server never takes at once; else they are bytes on the host, as they
come from the decoders. The best matrix product in TFLOP/s: {peaks}.

{markdown(["images", "transformers, eager, fp32", *(f"Wordsight, {name}" for name in PRECISIONS)], tower_rows)}

The server's workers together embed {tower.images_per_s:,.0f} decoded images a second.

## Over HTTP

VGA photographs with 10 known labels. As many threads as the server has cores decode and prepare
{served.decoded_per_s:,.0f} of them a second when they do nothing else.

{load_table([""], load_rows, COLUMNS)}

The shipped checkpoint, {served.agreement.answers:,} answers: greatest difference from transformers' fp32
{served.agreement.max_abs:.1e}, the same best label in {served.agreement.argmax:.2%}, and in
{served.agreement.clear_argmax:.2%} where it leads by more than .02.
""")


def split_cores() -> tuple[Cores, Cores]:
    """The server's and the generators'; the same where there are too few."""
    every = sorted(os.sched_getaffinity(0))
    if len(every) < 2 * GENERATORS:
        return frozenset(every), frozenset(every)
    return frozenset(every[:-GENERATORS]), frozenset(every[-GENERATORS:])


def main() -> int:
    """Make the report. The exit status is 2 without CUDA."""
    if not torch.cuda.is_available():
        print(f"there is no GPU to measure: {describe_cuda()}", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    begun_s = time.monotonic()
    write_clip()
    tower = measure_tower("cuda")
    torch.cuda.empty_cache()
    server_cores, generator_cores = split_cores()
    with pinned(generator_cores):
        served = measure_served(server_cores)
    (WORK / "gpu.json").write_text(json.dumps(asdict(served)))
    write_report(tower, served, server_cores, time.monotonic() - begun_s, REPORTS / "serving-gpu.md")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
