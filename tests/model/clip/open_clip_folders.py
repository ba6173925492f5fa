"""Folders as open_clip saves its checkpoints, with the random weights that open_clip_reference.py gave to open_clip."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

REFERENCES = Path(__file__).with_name("open_clip")
LABELS = ["a cat", "the number 5", "rain on a window", "dog"]
PICTURES = [(320, 200), (90, 150)]
"""Widths and heights in pixels."""


Reference = dict[str, Any]


def reference(name: str) -> Reference:
    """What open_clip answered: a configuration, the shapes of its tensors, and logits [images, labels]."""
    found: Reference = json.loads((REFERENCES / f"{name}.json").read_text())
    return found


def save_folder(directory: Path, found: Reference, *, pickled: bool = False) -> None:
    """The files of a reference's model, without a tokenizer."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "open_clip_config.json").write_text(json.dumps(found["config"], indent=2))
    weights = weights_of(found["shapes"])
    if pickled:
        torch.save(weights, directory / "open_clip_pytorch_model.bin")
    else:
        save_file(weights, directory / "open_clip_model.safetensors")


def weights_of(shapes: Mapping[str, Sequence[int]]) -> dict[str, torch.Tensor]:
    """Random tensors of these names and shapes, always the same."""
    return {name: torch.from_numpy(_weight(name, shape, seed)) for seed, (name, shape) in enumerate(shapes.items())}


def _weight(name: str, shape: Sequence[int], seed: int) -> NDArray[np.float32]:
    """A tensor whose size lets every layer matter. RandomState never draws otherwise (NEP 19)."""
    drawn = np.random.RandomState(seed).standard_normal(shape).astype(np.float32)
    if name == "logit_scale":
        return np.array(3.5, dtype=np.float32)
    if "ln_" in name and name.endswith("weight"):
        return 1 + 0.2 * drawn
    if drawn.ndim < 2:
        return 0.2 * drawn
    embedding = "embedding" in name
    return drawn if embedding else drawn * np.float32(1.5 / np.sqrt(np.prod(shape[1:])))


def picture(width_px: int, height_px: int) -> Image.Image:
    y, x = np.mgrid[0:height_px, 0:width_px]
    waves = [127 + 120 * np.sin(x / 7.0 + 2 * channel) * np.cos(y / (5.0 + channel)) for channel in range(3)]
    return Image.fromarray(np.stack(waves, axis=-1).astype(np.uint8))


def tokens(text: str, context_length: int) -> list[int]:
    """A token for each character, and another for a word's last; start and end are the two highest; zeros behind."""
    ids = [188]
    for word in text.split():
        ids += [ord(character) - 33 for character in word[:-1]] + [ord(word[-1]) - 33 + 94]
    ids.append(189)
    return ids + [0] * (context_length - len(ids))


def noise(side_px: int) -> torch.Tensor:
    """Two prepared images that are none. shape = [2, 3, side, side]"""
    return torch.from_numpy(np.random.RandomState(99).standard_normal((2, 3, side_px, side_px)).astype(np.float32))
