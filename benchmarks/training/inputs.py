"""What the throughput of training is measured with: photographs' worth of JPEGs, sentences, and models of any size."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTextConfig, CLIPVisionConfig

from benchmarks import ROOT
from model.clip.checkpoint import CheckpointMetadata, load_checkpoint, save_checkpoint
from model.data.class_wording import said_in_training
from model.world.scene import SHAPES as CLASSES

CONTEXT_LENGTH = 77
"""CLIP's own, to which the others pad every sentence."""
JPEG_SIZE = (640, 480)
JPEG_QUALITY = 85
GRAIN = 11.5
"""Standard deviation of the noise that makes such a file 109 kB, the size of a photograph."""
VALIDATION_IMAGES = 2


@dataclass(frozen=True)
class Shape:
    """A CLIP by its sizes: side of image and patch in px; width and layers of either tower; width of the space."""

    image: int
    patch: int
    vision: tuple[int, int]
    text: tuple[int, int]
    projection: int
    vocabulary: int | None = None

    def config(self, vocabulary: int, tokens: dict[str, int]) -> CLIPConfig:
        """As transformers and open_clip build it: heads of 64, or of 32 in narrow towers; 4 x wide in between."""
        vision = CLIPVisionConfig(
            **_tower(*self.vision), image_size=self.image, patch_size=self.patch, projection_dim=self.projection
        )
        text = CLIPTextConfig(
            **_tower(*self.text), vocab_size=self.vocabulary or vocabulary, projection_dim=self.projection,
            max_position_embeddings=CONTEXT_LENGTH, **tokens,
        )  # fmt: skip
        return CLIPConfig(
            text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=self.projection
        )  # fmt: skip


SHAPES = {
    "small": Shape(64, 16, (192, 4), (128, 2), 128),
    "small-128": Shape(128, 16, (192, 4), (128, 2), 128),
    "small-224": Shape(224, 16, (192, 4), (128, 2), 128),
    "ViT-B/32": Shape(224, 32, (768, 12), (512, 12), 512, 49408),
}


def head_width(width: int) -> int:
    """Of an attention head."""
    return 64 if width >= 512 else 32


def _tower(width: int, layers: int) -> dict[str, int]:
    heads = width // head_width(width)
    sizes = {"hidden_size": width, "intermediate_size": 4 * width}
    return {**sizes, "num_hidden_layers": layers, "num_attention_heads": heads}


def write_checkpoint(shape: Shape, directory: Path) -> None:
    """Random weights with the shipped checkpoint's vocabulary, unless they are there already."""
    if directory.is_dir():
        return
    tokenizer = load_checkpoint(ROOT / "model/shipped").tokenizer
    tokenizer.model_max_length = CONTEXT_LENGTH
    tokens = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    torch.manual_seed(0)
    model = CLIPModel(shape.config(len(tokenizer), tokens))
    side = {"height": shape.image, "width": shape.image}
    processor = CLIPImageProcessorPil(size={"shortest_edge": shape.image}, crop_size=side)
    save_checkpoint(directory, model, tokenizer, processor, CheckpointMetadata(version="random"), torch.float32)


def write_photos(count: int, directory: Path) -> None:
    """`count` JPEGs to train on, as JSON Lines, unless they are there already. Each is of one of ten classes and has
    one of the sentences that the product makes of a class: some 50 different ones among 64.
    """
    manifest = directory / "manifest.jsonl"
    if manifest.is_file():
        return
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    lines = []
    for number in range(count + VALIDATION_IMAGES):
        name = f"{number}.jpg"
        _photo(rng).save(directory / name, quality=JPEG_QUALITY)
        said = str(rng.choice(said_in_training(str(rng.choice(CLASSES)))))
        split = "train" if number < count else "validation"
        lines.append(json.dumps({"image": name, "captions": [said], "split": split}))
    manifest.write_text("\n".join(lines) + "\n")


def _photo(rng: np.random.Generator) -> Image.Image:
    """Soft colours with a film's grain: decoding costs what a photograph of that size costs."""
    width, height = JPEG_SIZE
    soft = Image.fromarray(rng.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8))
    smooth = np.asarray(soft.resize(JPEG_SIZE, Image.Resampling.BICUBIC), dtype=np.float32)
    grain = rng.normal(0, GRAIN, (height, width, 1))
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
