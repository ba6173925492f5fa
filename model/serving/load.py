"""From settings to an engine that is ready: device, precision, tower, and everything used once."""

import gc
import io
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image

from contract.checkpoints import Checked
from contract.containers import Precision, ServeSettings
from contract.model_cards import EndpointCards
from model.clip.cards import checkpoint_card
from model.clip.device import DeviceError, describe_cuda, free_cores, multiplies_bf16, pick_device
from model.clip.folder import CheckpointError, check_finite, check_folder, is_checkpoint, load_metadata, read_weights
from model.clip.processing import Processing
from model.clip.tower_weights import TextTower, image_tower_of, text_tower_of
from model.serving import torch_without_tracing
from model.serving.decoder import Template
from model.serving.engine import Engine
from model.serving.observe import Metrics
from model.serving.towers import Towers
from model.serving.towers.torch import TorchTowers

if TYPE_CHECKING:
    from model.clip.encode import Clip
    from model.serving.towers.openvino_without_telemetry import openvino

GPU_WORKERS = 2
"""One copies and launches while the other computes."""

CPU_LARGEST_BATCH = 8
"""Of 8 images each takes half the time of one alone where a CPU has matrix units (AMX), and a tenth less elsewhere."""

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

LARGE_PARAMETERS = 50_000_000
"""Below that bf16 saves a CPU a fraction of a millisecond per image, which is not worth its rounding."""

log = logging.getLogger(__name__)


def load_engine(settings: ServeSettings, metrics: Metrics) -> tuple[Engine, float]:
    """Load the checkpoint in `model_dir`, or else the base checkpoint, and use everything once: first calls are slow.

    The engine, and how many seconds an image takes when all workers are busy. Raises CheckpointError, or DeviceError if
    a GPU is expected and does not compute, or if the device lacks the precision, and OSError if no decoder starts.
    """
    template = Template(settings.run_as_user)  # it starts beside this
    device = pick_device(settings.expect_gpu)
    torch.set_num_threads(1)  # of every worker: with more of them than cores all stand still
    directory = settings.model_dir if is_checkpoint(settings.model_dir) else settings.base_model_dir
    checked = check_folder(directory)
    precision = pick_precision(settings, device, parameters_of(checked))
    processing, towers = load_towers(
        directory, checked, device, precision, workers=settings.model_workers, exact=settings.exact
    )
    engine = Engine(
        processing,
        towers,
        metrics,
        template,
        decoders=settings.decoders,
        label_cache_rows=settings.label_cache_rows,
        head_cache_bytes=settings.head_cache_bytes,
        cards=EndpointCards(served=checkpoint_card(directory), base=checkpoint_card(settings.base_model_dir)),
    )
    image_s = warm_up(processing, towers)
    template.wait_until_up()
    if device == "cuda":
        metrics.watch("wordsight_gpu_memory_bytes", "GPU memory that torch holds", torch.cuda.memory_reserved)
    gc.collect()
    gc.freeze()  # a collection would look at libraries' objects again and again, which stay for good
    facts = {
        "version": processing.version,
        "directory": str(directory),
        "device": describe_cuda(),
        "precision": precision,
        "exact": settings.exact,
        "workers": len(towers.workers),
        "decoders": settings.decoders,
        "image_ms": round(image_s * 1000, 1),
    }
    log.info("model loaded", extra=facts)
    return engine, image_s / len(towers.workers)


def pick_precision(settings: ServeSettings, device: str, parameters: int) -> Precision:
    """What is asked for, or the fastest that keeps a CLIP's answers. Raises DeviceError for what the device lacks.

    On a GPU that is fp16, which every one multiplies, the T4 included, and which CLIP was trained in. Logits and
    softmax are fp32 always.
    """
    if settings.exact:
        return "fp32"
    able = _precisions(device)
    if settings.precision == "auto":
        if device == "cpu":
            return "bf16" if "bf16" in able and parameters >= LARGE_PARAMETERS else "fp32"
        return "fp16"
    if settings.precision not in able:
        raise DeviceError(f"PRECISION is {settings.precision!r}, which this device lacks: it has {', '.join(able)}")
    return settings.precision


def _precisions(device: str) -> tuple[Precision, ...]:
    if device == "cpu":
        from model.serving.towers.openvino_without_telemetry import openvino  # not in a GPU's image

        has_bf16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return ("fp32", "bf16", "int8") if has_bf16 else ("fp32",)
    return ("fp32", "fp16", "bf16") if multiplies_bf16(torch.device(device)) else ("fp32", "fp16")


def parameters_of(checked: Checked) -> int:
    """How many numbers the encoders of a checked folder have learnt."""
    return sum(map(prod, checked.config.tensors().values()))


def load_towers(
    directory: Path,
    checked: Checked,
    device: str,
    precision: Precision,
    *,
    workers: int | None = None,
    exact: bool = False,
) -> tuple[Processing, Towers]:
    """A checked folder's towers as the device runs them best, and what belongs to them.

    Raises CheckpointError if a weight is no number, if the folder can't be loaded, or if int8 costs too much.
    """
    if device == "cuda" or precision == "int8":
        torch_without_tracing.complete()
        from model.clip.checkpoint import load_checkpoint  # transformers, which takes seconds to import
        from model.clip.encode import Clip

        clip = Clip(load_checkpoint(directory, device), exact=exact)
        return clip, _gpu_towers(clip, precision, workers) if device == "cuda" else _int8_towers(clip, checked, workers)
    from model.serving.towers.openvino_graph import image_graph  # OpenVINO, which is not in a GPU's image

    weights = read_weights(directory, checked)
    check_finite(weights, str(directory))
    metadata = load_metadata(directory)
    try:
        processing = Processing.read(directory, checked, metadata, weights, exact=exact)
    except Exception as error:  # tokenizers and transformers promise no type
        raise CheckpointError(f"{directory} can't be loaded: {error}") from error
    graph = image_graph(
        image_tower_of(checked.config, weights), processing.normalization, processing.blank_pixels().shape
    )
    return processing, openvino_towers(processing, graph, text_tower_of(checked.config, weights), precision, workers)


def _gpu_towers(clip: "Clip", precision: Precision, workers: int | None) -> Towers:
    # on by default, and it rounds a convolution's fp32 to 10 bits
    torch.backends.cudnn.allow_tf32 = precision != "fp32"
    clip.model.to(DTYPES[precision])  # the vectors stay fp32
    return TorchTowers(clip, workers or GPU_WORKERS)


def _int8_towers(clip: "Clip", checked: Checked, workers: int | None) -> Towers:
    from model.serving.towers.int8 import Quantization

    texts = text_tower_of(checked.config, clip.model.state_dict())
    quantization = Quantization(clip)
    towers = openvino_towers(clip, quantization.graph(), texts, "int8", workers)
    log.info("int8 keeps answers", extra={"agreement": quantization.check(towers)})
    del clip.model  # OpenVINO holds the weights now
    return towers


def openvino_towers(
    processing: Processing, images: "openvino.Model", texts: TextTower, precision: Precision, workers: int | None
) -> Towers:
    """Compiled graphs; the image tower's is given, and the text tower's is made of its weights."""
    from model.serving.towers.openvino import OpenVinoTowers
    from model.serving.towers.openvino_graph import text_graph

    graph = text_graph(texts, masked=processing.read_texts(["a"]).mask is not None)
    return OpenVinoTowers(processing, images, graph, precision, workers or free_cores(), CPU_LARGEST_BATCH)


def warm_up(processing: Processing, towers: Towers) -> float:
    """Use what requests will use, in every worker at once; how many seconds an image takes then. One image is enough: a
    larger batch costs nothing extra the first time.

    Raises CheckpointError if what comes out are no numbers: weights that are can be too large for the precision.
    """
    Image.init()
    Image.new("RGB", (640, 480)).save(file := io.BytesIO(), "JPEG")
    with ThreadPoolExecutor(len(towers.workers)) as pool:
        images = pool.map(lambda embed: embed(processing.blank_pixels()), towers.workers)
        vectors = [embedding.vector for embedding in towers.embed_texts(["a photo of something"])] + [*images]
    if not all(torch.isfinite(each).all() for each in vectors):
        raise CheckpointError(f"{processing.version} makes no numbers of an image or a text (NaN or infinite)")
    started_s = time.perf_counter()
    towers.workers[0](processing.preprocess(processing.open(file.getvalue())[0]).unsqueeze(0))
    return time.perf_counter() - started_s
