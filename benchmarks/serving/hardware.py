"""What the hardware could do: matrix products at their best, the image tower alone, and Hugging Face's preparation.

Of a CPU on one thread in a process of its own; of a GPU benchmarks/serving/gpu.py asks the same functions.
"""

import io
import itertools
import math
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import torch
from PIL import Image
from torch import Tensor
from transformers import CLIPConfig, CLIPImageProcessorPil
from transformers.image_utils import load_image

from benchmarks.process import Cores, pinned
from benchmarks.serving.requests import CHECKPOINT, photos
from contract.containers import Precision, ServeSettings
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.folder import check_folder
from model.serving.load import DTYPES, load_towers, pick_precision

Product = tuple[int, int, int]
"""Rows, inner and columns of a matrix product."""
PEAK_SHAPES: tuple[Product, ...] = ((512, 512, 512), (1024, 1024, 1024), (2048, 1024, 1024), (256, 3072, 768))
"""Those with which one core comes nearest to its peak."""
COLD_BYTES = 600_000_000
"""More than a core's share of any cache: between two uses of the same weights so many others are read."""
BATCHES = (1, 8)
PREPARED = ("VGA", "12 MP")


@dataclass(frozen=True)
class Speed:
    """Of one dtype: GFLOP/s of the best matrix product and of the tower's own products at batch 1 with weights out of
    memory; CPU ms of the tower by batch size.
    """

    peak_gflops: float
    chain_gflops: float
    tower_ms: Mapping[int, float]


@dataclass(frozen=True)
class Hardware:
    """All of it. `gflop`: what the image tower multiplies for one image; `prepare_ms`: HF's preparation, by size."""

    gflop: float
    default: Precision
    precisions: Mapping[str, Speed]
    prepare_ms: Mapping[str, float]

    @property
    def best_ms(self) -> float:
        """What an image's products would take at the best rate of the default precision."""
        return 1000 * self.gflop / self.precisions[self.default].peak_gflops


def tower_gflop(config: CLIPConfig) -> float:
    """Multiplications and additions of the image tower for one image, in billions: of all products with weights, and of
    the attention's own, all heads together as one.
    """
    vision = config.vision_config
    tokens, width = int(vision.image_size // vision.patch_size) ** 2 + 1, int(vision.hidden_size)
    attention = [(tokens, width, tokens), (tokens, tokens, width)] * int(vision.num_hidden_layers)
    return sum(map(flop, tower_products(config) + attention)) / 1e9


def tower_products(config: CLIPConfig) -> list[Product]:
    """Every product with weights, in order, for one image."""
    vision = config.vision_config
    patches = int(vision.image_size // vision.patch_size) ** 2
    tokens, width, between = patches + 1, int(vision.hidden_size), int(vision.intermediate_size)
    layer = [(tokens, width, width)] * 4 + [(tokens, width, between), (tokens, between, width)]
    patch = (patches, int(vision.num_channels) * int(vision.patch_size) ** 2, width)
    return [patch, *layer * int(vision.num_hidden_layers), (1, width, int(config.projection_dim))]


def flop(product: Product) -> int:
    """Multiplications and additions."""
    return 2 * math.prod(product)


def gemm_peak(dtype: torch.dtype, device: str, seconds: float, shapes: tuple[Product, ...]) -> float:
    """GFLOP/s of torch.mm at the best of these shapes, by its median as everything here."""
    best = 0.0
    for rows, inner, columns in shapes:
        a, b = (torch.randn(size).to(device, dtype) for size in ((rows, inner), (inner, columns)))
        taken_s = typical_s(partial(torch.mm, a, b), device, seconds / len(shapes))
        best = max(best, flop((rows, inner, columns)) / taken_s / 1e9)
    return best


def chain_rate(config: CLIPConfig, dtype: torch.dtype, seconds: float) -> float:
    """GFLOP/s of the tower's products at batch 1 one after another, with weights that are in no cache."""
    products = tower_products(config)
    size = sum(inner * columns for _, inner, columns in products) * dtype.itemsize
    inputs = [torch.randn(rows, inner).to(dtype) for rows, inner, _ in products]
    copies = [
        [torch.randn(columns, inner).to(dtype) for _, inner, columns in products]
        for _ in range(1 + -(-COLD_BYTES // size))
    ]
    turns = itertools.cycle(copies)

    def once() -> None:
        for given, weights in zip(inputs, next(turns), strict=True):
            torch.nn.functional.linear(given, weights)

    taken_s = typical_s(once, "cpu", seconds)
    return sum(map(flop, products)) / taken_s / 1e9


def typical_s(work: Callable[[], object], device: str, seconds: float) -> float:
    """The median time of one call: CPU time of this process, or for a GPU wall time until it is done."""
    return median(durations_s(work, device, seconds))


@torch.inference_mode()
def durations_s(work: Callable[[], object], device: str, seconds: float) -> list[float]:
    """The times of calls one after another, after two that warm up; five at least."""

    def clock() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() if device == "cuda" else time.process_time()

    found: list[float] = []
    for _ in range(2):
        work()
    deadline_s = time.monotonic() + seconds
    while len(found) < 5 or time.monotonic() < deadline_s:
        begun_s = clock()
        work()
        found.append(clock() - begun_s)
    return found


def hf_prepare(processor: CLIPImageProcessorPil, data: bytes) -> Tensor:
    """What the pipeline does with an image file before the model. shape = [1, 3, height, width]"""
    image = load_image(Image.open(io.BytesIO(data)))
    pixels: Tensor = processor(images=[image], return_tensors="pt")["pixel_values"]
    return pixels


def measure(seconds: float) -> Hardware:
    """Measure everything, each part for so many seconds."""
    checkpoint = load_checkpoint(CHECKPOINT)
    config, processor = checkpoint.model.config, checkpoint.processor
    clip = Clip(checkpoint, exact=False)
    files = {size: photos(size, 1)[0] for size in PREPARED}
    # first, as in the pipeline's own process: once other work has taught the allocator to keep large blocks, 12 Mpixel
    # take 108 ms instead of the 178 ms that they take there
    theirs = {
        size: 1000 * typical_s(partial(hf_prepare, processor, file), "cpu", seconds) for size, file in files.items()
    }
    pixels = torch.stack([clip.preprocess(clip.open(image)[0]) for image in photos("VGA", max(BATCHES))])
    default = pick_precision(ServeSettings.from_env({}), "cpu", clip.parameters)
    precisions: dict[str, Speed] = {}
    for name in dict.fromkeys(("fp32", default)):
        peak = gemm_peak(DTYPES[name], "cpu", seconds, PEAK_SHAPES)
        _, towers = load_towers(CHECKPOINT, check_folder(CHECKPOINT), "cpu", name, workers=1)
        (embed,) = towers.workers
        tower_ms = {size: 1000 * typical_s(partial(embed, pixels[:size]), "cpu", seconds) for size in BATCHES}
        precisions[name] = Speed(peak, chain_rate(config, DTYPES[name], seconds), tower_ms)
    return Hardware(tower_gflop(config), default, precisions, theirs)


def measure_alone(seconds: float, cores: Cores) -> Hardware:
    """`measure` on one thread of a new process on these cores."""
    spawned = multiprocessing.get_context("spawn")
    with pinned(cores), ProcessPoolExecutor(1, spawned, torch.set_num_threads, (1,)) as pool:
        return pool.submit(measure, seconds).result()


def middle(measured: Sequence[Hardware]) -> Hardware:
    """The medians of the same figures, measured several times."""
    first = measured[0]
    precisions = {
        name: Speed(
            median(each.precisions[name].peak_gflops for each in measured),
            median(each.precisions[name].chain_gflops for each in measured),
            {batch: median(each.precisions[name].tower_ms[batch] for each in measured) for batch in speed.tower_ms},
        )
        for name, speed in first.precisions.items()
    }
    prepare_ms = {size: median(each.prepare_ms[size] for each in measured) for size in first.prepare_ms}
    return replace(first, precisions=precisions, prepare_ms=prepare_ms)
