"""What serving and training are measured with: CLIPs of any size with random weights, and JPEGs as of a camera."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    PreTrainedTokenizerBase,
)

from contract.checkpoints import CheckpointMetadata
from model.clip.checkpoint import save_checkpoint
from model.clip.folder import is_checkpoint

CONTEXT_LENGTH = 77
"""CLIP's own, in tokens."""
OCTAVES_PX = (512, 128, 32, 8)
"""Sizes of a photo's soft details, each half as strong as the one before."""


def clip_config(
    vision: tuple[int, int] = (768, 12),
    text: tuple[int, int] = (512, 12),
    image_px: int = 224,
    patch_px: int = 32,
    projection: int = 512,
    vocabulary: int = 49408,
) -> CLIPConfig:
    """A CLIP by width and layers of either tower, as transformers and open_clip build it; by default in the shape of
    openai/clip-vit-base-patch32.
    """
    seeing = CLIPVisionConfig(**_tower(*vision), image_size=image_px, patch_size=patch_px, projection_dim=projection)
    reading = CLIPTextConfig(
        **_tower(*text), vocab_size=vocabulary, bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1,
        max_position_embeddings=CONTEXT_LENGTH, projection_dim=projection,
    )  # fmt: skip
    return CLIPConfig(text_config=reading.to_dict(), vision_config=seeing.to_dict(), projection_dim=projection)


def head_width(width: int) -> int:
    """Of an attention head: 64, or 32 in narrow towers."""
    return 64 if width >= 512 else min(32, width)


def _tower(width: int, layers: int) -> dict[str, int]:
    heads = width // head_width(width)
    sizes = {"hidden_size": width, "intermediate_size": 4 * width}
    return {**sizes, "num_hidden_layers": layers, "num_attention_heads": heads}


def write_checkpoint(directory: Path, config: CLIPConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """Random weights, always the same ones, unless they are there already."""
    if is_checkpoint(directory):
        return
    torch.manual_seed(0)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config.text_config, name, getattr(tokenizer, name))
    side = config.vision_config.image_size
    processor = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    save_checkpoint(
        directory, CLIPModel(config), tokenizer, processor, CheckpointMetadata(version="random"), torch.float32
    )


def photo(size_px: tuple[int, int], seed: int, grain: float = 4.5, quality: int = 90) -> bytes:
    """A JPEG of soft colours with details of several sizes and a sensor's grain: a function of its arguments.

    `grain`: standard deviation of the noise; with these defaults a file has some 2.2 bits a pixel, as a camera's.
    """
    rng = np.random.default_rng((seed, *size_px))
    width, height = size_px
    pixels = np.full((height, width, 3), 128, dtype=np.float32)
    for octave, detail_px in enumerate(OCTAVES_PX):
        small = rng.integers(0, 256, (height // detail_px + 2, width // detail_px + 2, 3), dtype=np.uint8)
        soft = Image.fromarray(small).resize(size_px, Image.Resampling.BICUBIC)
        pixels += (np.asarray(soft, dtype=np.float32) - 128) / 2**octave
    pixels += rng.standard_normal((height, width, 1), dtype=np.float32) * grain
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return file.getvalue()
