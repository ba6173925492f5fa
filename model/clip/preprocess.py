"""From an RGB image to what the image tower reads, in serving and in training alike.

Hugging Face's image processor says what is to be done: `resized` does its first half and leaves bytes, which is what is
kept, queued and sent to a device; `normalized` does the second, in fp32, or preparation.py's `Normalization`.
"""

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil, SiglipImageProcessorPil

from model.clip.preparation import Preparation

ImageProcessor: TypeAlias = CLIPImageProcessorPil | SiglipImageProcessorPil
"""Other rooms call a checkpoint's processor so, whatever the architecture."""


def resized(
    processor: ImageProcessor, image: Image.Image | NDArray[np.uint8], *, exact: bool = False
) -> NDArray[np.uint8]:
    """The processor's first half, for one RGB image or its pixels [height, width, 3] in an array of their own: resized
    and cropped, uint8 [3, height, width].

    `exact`: the processor itself resizes. Else torch does, and no value differs by more than 1 of 255, but where
    bicubic interpolation overshoots black or white.
    """
    return Preparation.of(processor, lambda: processor, exact=exact).resize(image)


def normalized(processor: ImageProcessor, pixels: NDArray[np.uint8]) -> Tensor:
    """The second half, for a batch [B, 3, height, width] of that: fp32, the processor's very numbers.

    Looking up what the processor makes of each of the 256 values takes a third of its time.
    """
    table = _table(processor)
    return torch.from_numpy(np.stack([table[channel][pixels[:, channel]] for channel in range(3)], axis=1))


def _table(processor: ImageProcessor) -> NDArray[np.float32]:
    """What the processor makes of every value of every channel. shape = [3, 256]"""
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8), (3, 1, 256))
    unsized = {"do_resize": False, "do_center_crop": False, "do_convert_rgb": False}
    pixels = processor(images=[ramp], input_data_format="channels_first", **unsized)["pixel_values"][0]
    table: NDArray[np.float32] = pixels[:, 0]
    return table
