"""PIL images to what a CLIP vision tower reads."""

import torch
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil


def pixel_values(processor: CLIPImageProcessorPil, images: list[Image.Image]) -> Tensor:
    """Preprocess RGB images exactly as the server does. shape = [images, 3, side, side], float32"""
    return torch.as_tensor(processor(images=images, return_tensors="pt")["pixel_values"])
