"""Images for towers."""

import torch

from model.clip.encode import Clip


def noise(clip: Clip, images: int) -> torch.Tensor:
    """As many preprocessed images, the same every time. uint8 [B, 3, height, width]"""
    shape = clip.blank_pixels(images).shape
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(images))
