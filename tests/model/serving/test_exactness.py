"""Exact mode: what the engine answers equals transformers' own model and processor on the same picture."""

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor

from contract.checkpoints import CheckpointMetadata
from contract.containers import ServeSettings
from contract.questions import Parameters
from contract.requests import ClassifyRequest
from model.clip.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from model.clip.image import EXIF_ORIENTATION, open_image
from model.serving.engine import Engine
from model.serving.load import load_engine
from model.serving.observe import Metrics
from model.training.scratch import small_clip, small_processor
from tests.model.serving.test_engine import answer

LABELS = ["cat", "dog", "a red bicycle", "rain on a window", "the number five"]
MAX_DIFFERENCE = 1e-4


def photo(width_px: int = 320, height_px: int = 200) -> Image.Image:
    rng = np.random.default_rng(3)
    smooth = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((width_px, height_px))
    noise = rng.normal(0, 8, (height_px, width_px, 3))
    return Image.fromarray(np.clip(np.asarray(smooth) + noise, 0, 255).astype(np.uint8))


def save(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def with_alpha() -> Image.Image:
    image = photo().convert("RGBA")
    image.putalpha(Image.radial_gradient("L").resize(image.size))
    return image


def rotated() -> bytes:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    return save(photo().rotate(90, expand=True), "JPEG", exif=exif)


FILES: dict[str, Callable[[], bytes]] = {
    "photo": lambda: save(photo(), "JPEG"),
    "large photo": lambda: save(photo(2000, 1500), "JPEG"),
    "PNG with alpha": lambda: save(with_alpha(), "PNG"),
    "greyscale": lambda: save(photo().convert("L"), "JPEG"),
    "CMYK": lambda: save(photo().convert("CMYK"), "JPEG"),
    "palette": lambda: save(photo().quantize(32), "PNG", transparency=3),
    "16-bit": lambda: save(Image.fromarray(np.asarray(photo().convert("L"), dtype=np.uint16) * 257), "PNG"),
    "animated GIF": lambda: save(photo(), "GIF", save_all=True, append_images=[photo().rotate(180)]),
    "EXIF-rotated JPEG": rotated,
}


def expected_scores(checkpoint: Checkpoint, image: Image.Image) -> dict[str, float]:
    """As transformers' documentation has it."""
    processor = CLIPProcessor(checkpoint.processor, checkpoint.tokenizer)
    prompts = [f"This is a photo of {label}." for label in LABELS]
    inputs = processor(text=prompts, images=image, return_tensors="pt", padding=True, truncation=True)
    with torch.inference_mode():
        probabilities = checkpoint.model(**inputs).logits_per_image.softmax(dim=1)[0]
    return dict(zip(LABELS, probabilities.tolist(), strict=True))


async def scores_of(engine: Engine, image: bytes) -> dict[str, float]:
    scores = json.loads(await answer(engine, ClassifyRequest([image], Parameters(candidate_labels=LABELS))))
    return {each["label"]: each["score"] for each in scores}


def largest_difference(directory: Path) -> float:
    checkpoint = load_checkpoint(directory)
    settings = ServeSettings(base_model_dir=directory, model_dir=Path("/nowhere"), exact=True, model_workers=1)
    engine, _ = load_engine(settings, Metrics())
    differences = []
    for make in FILES.values():
        data = make()
        got, expected = asyncio.run(scores_of(engine, data)), expected_scores(checkpoint, open_image(data))
        differences += [abs(got[label] - expected[label]) for label in LABELS]
    return max(differences)


def sharpened(model: CLIPModel) -> CLIPModel:
    """Random weights give all but equal scores; at the scale CLIP is trained to, any difference shows."""
    with torch.no_grad():
        model.logit_scale.fill_(np.log(100))
    return model.eval()


@pytest.mark.slow
def test_the_scores_of_a_checkpoint_of_the_shipped_size_are_transformers_scores(
    checkpoint_dir: Path, tmp_path: Path
) -> None:
    tokenizer = load_checkpoint(checkpoint_dir).tokenizer
    model, metadata = sharpened(small_clip(tokenizer, seed=0)), CheckpointMetadata(version="random-small")
    save_checkpoint(tmp_path, model, tokenizer, small_processor(), metadata)
    assert largest_difference(tmp_path) <= MAX_DIFFERENCE


@pytest.mark.slow
def test_a_vit_b_32s_scores_are_transformers_scores(checkpoint_dir: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = load_checkpoint(checkpoint_dir).tokenizer
    text = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    model = sharpened(CLIPModel(CLIPConfig(text_config=text)))  # transformers' defaults are ViT-B/32's sizes
    save_checkpoint(tmp_path, model, tokenizer, CLIPImageProcessorPil(), CheckpointMetadata(version="random-b32"))
    assert model.config.vision_config.patch_size == 32
    assert largest_difference(tmp_path) <= MAX_DIFFERENCE
