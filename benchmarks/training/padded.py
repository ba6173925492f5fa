"""Images and captions as common trainers read them: every file decoded in full, every caption padded to 77 tokens."""

import json

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from transformers import CLIPImageProcessorPil, PreTrainedTokenizerBase

from benchmarks.training.entry import Entry
from benchmarks.training.inputs import CONTEXT_LENGTH

SMALLEST_CROP = 0.9
"""open_clip's default: a random crop of 90 % of the area at least."""


class Padded(Dataset[dict[str, Tensor]]):
    """One image and one caption per item; kept in memory as tensors where decoding is not to be measured."""

    def __init__(
        self, entry: Entry, tokenizer: PreTrainedTokenizerBase, processor: CLIPImageProcessorPil, crops: bool
    ) -> None:
        lines = (entry.photos / "manifest.jsonl").read_text().splitlines()
        self.rows = [row for row in map(json.loads, lines) if row["split"] == "train"][: entry.batch * entry.steps]
        self.photos, self.tokenizer, self.processor, self.crops = entry.photos, tokenizer, processor, crops
        self.kept: list[dict[str, Tensor]] | None = None
        if not entry.from_jpeg:
            self.kept = [self._read(place) for place in range(len(self.rows))]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        return self.kept[place] if self.kept else self._read(place)

    def _read(self, place: int) -> dict[str, Tensor]:
        row = self.rows[place]
        with Image.open(self.photos / row["image"]) as file:
            image = file.convert("RGB")
        pixels = self._cropped(image) if self.crops else self.processor(images=[image])["pixel_values"][0]
        said = self.tokenizer(
            row["captions"][0], padding="max_length", truncation=True, max_length=CONTEXT_LENGTH, return_tensors="pt"
        )
        return {"pixel_values": torch.as_tensor(pixels), **{name: values[0] for name, values in said.items()}}

    def _cropped(self, image: Image.Image) -> Tensor:
        """What torchvision's RandomResizedCrop, ToTensor and Normalize make of it. shape = [3, side, side]"""
        share = float(np.sqrt(np.random.uniform(SMALLEST_CROP, 1)))
        width, height = int(image.width * share), int(image.height * share)
        box = (0, 0, min(width, height * 4 // 3), height)
        side = self.processor.crop_size.height
        square = image.crop(box).resize((side, side), Image.Resampling.BICUBIC)
        scaled = torch.from_numpy(np.array(square)).permute(2, 0, 1) / 255
        mean, std = (
            torch.tensor(each)[:, None, None] for each in (self.processor.image_mean, self.processor.image_std)
        )
        return (scaled - mean) / std
