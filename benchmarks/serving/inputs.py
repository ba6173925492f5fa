"""What serving is measured with: a checkpoint of ViT-B/32's shape, JPEGs as of a camera, labels, request bodies."""

import base64
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
    PreTrainedTokenizerBase,
)

from benchmarks import ROOT
from benchmarks.serving.client import Body
from contract.questions import Parameters
from contract.requests import ClassifyRequest, to_multipart
from model.clip.checkpoint import CheckpointMetadata, is_checkpoint, load_checkpoint, save_checkpoint

MERGES = ROOT / ".bench/site/open_clip/bpe_simple_vocab_16e6.txt.gz"
"""CLIP's byte pair encoding, as open_clip's wheel carries it."""
MERGE_COUNT = 49152 - 256 - 2
CONTEXT_LENGTH = 77
LOGIT_SCALE = 100.0
"""What OpenAI's checkpoints have learnt; a new model starts at 14.3."""
THIN_WIDTH = 8
"""Of all layers of towers that cost next to nothing."""

SIZES_PX = {
    "VGA": (640, 480),
    "2 MP": (1600, 1200),
    "5 MP": (2560, 1920),
    "12 MP": (4000, 3000),
    "24 MP": (6000, 4000),
    "48 MP": (8000, 6000),
}
JPEG_QUALITY = 90
GRAIN = 4.5
"""Standard deviation of the noise with which such a file has some 2.2 bits a pixel, as a camera's."""
OCTAVES_PX = (512, 128, 32, 8)
"""Sizes of the soft details, each half as strong as the one before."""


def write_checkpoint(directory: Path, config: CLIPConfig | None = None) -> None:
    """Random weights and OpenAI's tokenizer, unless they are there already; by default in the shape of
    openai/clip-vit-base-patch32, which is transformers' own default.
    """
    if is_checkpoint(directory):
        return
    torch.manual_seed(0)
    tokenizer = clip_tokenizer() if MERGES.is_file() else load_checkpoint(ROOT / "model/shipped").tokenizer
    config = config or CLIPConfig()
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config.text_config, name, getattr(tokenizer, name))
    model = CLIPModel(config)
    model.logit_scale.data.fill_(float(np.log(LOGIT_SCALE)))
    metadata = CheckpointMetadata(version="random")
    save_checkpoint(directory, model, tokenizer, CLIPImageProcessorPil(), metadata, torch.float32)


def thin_config() -> CLIPConfig:
    """Towers that cost next to nothing, with the same images and vocabulary: what is left is the server."""
    layer = {"hidden_size": THIN_WIDTH, "intermediate_size": THIN_WIDTH, "num_attention_heads": 1}
    thin = {**layer, "num_hidden_layers": 1}
    return CLIPConfig(text_config=CLIPTextConfig(**thin).to_dict(), vision_config=CLIPVisionConfig(**thin).to_dict())


def clip_tokenizer() -> PreTrainedTokenizerBase:
    """OpenAI's own, put together from its list of merges as in open_clip's SimpleTokenizer."""
    lines = gzip.decompress(MERGES.read_bytes()).decode().split("\n")[1 : MERGE_COUNT + 1]
    merges = [tuple(line.split()) for line in lines]
    characters = byte_characters()
    words = [*characters, *(f"{each}</w>" for each in characters), *map("".join, merges)]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CONTEXT_LENGTH)


def byte_characters() -> list[str]:
    """The character that stands for each byte: itself if it can be printed, else one behind them; in CLIP's order."""
    printed = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = 256 - len(printed)
    return [*map(chr, printed), *(chr(256 + number) for number in range(others))]


def photos(directory: Path, size: str, count: int) -> list[bytes]:
    """`count` different JPEGs of a size of SIZES_PX, drawn once and kept in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{size.replace(' ', '')}-{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.is_file():
            path.write_bytes(photo(SIZES_PX[size], number))
    return [path.read_bytes() for path in paths]


def photo(size_px: tuple[int, int], seed: int) -> bytes:
    """A JPEG of soft colours with details of several sizes and a sensor's grain: a function of its arguments."""
    rng = np.random.default_rng((seed, *size_px))
    width, height = size_px
    pixels = np.full((height, width, 3), 128, dtype=np.float32)
    for octave, detail_px in enumerate(OCTAVES_PX):
        small = rng.integers(0, 256, (height // detail_px + 2, width // detail_px + 2, 3), dtype=np.uint8)
        soft = Image.fromarray(small).resize(size_px, Image.Resampling.BICUBIC)
        pixels += (np.asarray(soft, dtype=np.float32) - 128) / 2**octave
    pixels += rng.standard_normal((height, width, 1), dtype=np.float32) * GRAIN
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def labels(count: int, first: int = 0) -> list[str]:
    """Different labels of two or three words; other ones from another `first` on."""
    words = ("red", "small", "old", "wooden", "wet", "broken", "bright", "quiet", "northern", "striped")
    things = ("bicycle", "dog", "harbour", "kettle", "violin", "tram", "meadow", "lighthouse", "sweater", "bridge")
    numbers = range(first, first + count)
    return [f"{words[n % 10]} {things[n // 10 % 10]}" + (f" {n // 100}" if n >= 100 else "") for n in numbers]


def embed(images: Sequence[bytes]) -> Body:
    """For one vector per image, as JSON with base64."""
    told = {"operation": "embed", "inputs": {"images": [_base64(image) for image in images]}}
    return Body("application/json", json.dumps(told).encode())


def infinity_embed(images: Sequence[bytes]) -> Body:
    """The same, as infinity-emb's /embeddings wants it."""
    urls = [f"data:image/jpeg;base64,{_base64(image)}" for image in images]
    return Body("application/json", json.dumps({"model": "clip", "input": urls, "modality": "image"}).encode())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def classify(images: Sequence[bytes], candidate_labels: Sequence[str], **parameters: object) -> Body:
    """A question as the Lambda sends it to the container: a form with the images as they are."""
    asked = Parameters.model_validate({"candidate_labels": list(candidate_labels), **parameters})
    return Body(*to_multipart(ClassifyRequest(list(images), asked, listed=len(images) > 1), images))


def classify_tasks(image: bytes, questions: Mapping[str, Sequence[str]]) -> Body:
    """Several questions about one image."""
    tasks = {name: {"candidate_labels": list(each)} for name, each in questions.items()}
    return Body(*to_multipart(ClassifyRequest([image], Parameters.model_validate({"tasks": tasks})), [image]))
