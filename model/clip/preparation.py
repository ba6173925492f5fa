"""An image file on its way to the image tower: opened, resized, cropped, normalized.

It is all that a process needs which does this and nothing else, so nothing here imports transformers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from model.clip.image import Pixels, open_pixels

if TYPE_CHECKING:
    from model.clip.preprocess import ImageProcessor

INTERPOLATION = {Image.Resampling.BILINEAR: "bilinear", Image.Resampling.BICUBIC: "bicubic"}
"""What torch resizes bytes by, antialiased as Pillow does, in a sixth of Pillow's time."""

Sides = tuple[int, int]
"""Height and width."""


ProcessorSettings: TypeAlias = Any
"""`contract.clip_config.Processor`, or a processor of transformers: they call the members of their file alike."""


@dataclass(frozen=True)
class Normalization:
    """A processor's second half, which makes numbers around 0 of bytes, as arithmetic that a device does along with the
    rest: `pixels * scale + shift`. Equal to the processor's but for the last bit of an fp32. Both [3, 1, 1].
    """

    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, settings: ProcessorSettings, device: torch.device | str = "cpu") -> Normalization:
        """For pixels on `device`."""
        mean, std = (settings.image_mean, settings.image_std) if settings.do_normalize else ((0,) * 3, (1,) * 3)
        rescale = settings.rescale_factor if settings.do_rescale else 1.0
        scale, shift = rescale / np.asarray(std), -np.divide(mean, std)
        return cls(*(torch.from_numpy(each.reshape(3, 1, 1)).float().to(device) for each in (scale, shift)))

    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 [B, 3, height, width] to fp32."""
        return pixels.float() * self.scale + self.shift


@dataclass(frozen=True)
class Resize:
    """A processor's resizing by torch. `shortest_edge`: the longer side keeps its proportion; 0: `size` is fixed."""

    mode: str
    shortest_edge: int
    size: Sides
    crop: Sides | None

    @classmethod
    def of(cls, settings: ProcessorSettings) -> Resize | None:
        """None: this is not how the processor resizes."""
        mode = INTERPOLATION.get(settings.resample) if settings.do_resize else None
        if mode is None:
            return None
        edge = settings.size.shortest_edge or 0
        size = (edge, edge) if edge else (settings.size.height, settings.size.width)
        crop = (settings.crop_size.height, settings.crop_size.width) if settings.do_center_crop else None
        return cls(mode, edge, size, crop)

    @property
    def fits_all(self) -> bool:
        """Whether no image is smaller than the crop when it is resized."""
        return self.crop is None or (self.crop[0] <= self.size[0] and self.crop[1] <= self.size[1])

    def __call__(self, image: Pixels) -> NDArray[np.uint8] | None:
        """[height, width, 3] to [3, height, width]. None: the crop would reach beyond the image."""
        height, width = self._resized_size(*image.shape[:2])
        crop_height, crop_width = self.crop or (height, width)
        if crop_height > height or crop_width > width:
            return None
        pixels = torch.from_numpy(image).permute(2, 0, 1)  # [3, height, width], a pixel's colours side by side
        if pixels.shape[1:] != (height, width):
            pixels = interpolate(pixels.unsqueeze(0), (height, width), mode=self.mode, antialias=True).squeeze(0)
        top, left = (height - crop_height) // 2, (width - crop_width) // 2
        return pixels[:, top : top + crop_height, left : left + crop_width].contiguous().numpy()

    def _resized_size(self, height: int, width: int) -> Sides:
        """Before the crop. As the processor, which cuts fractions of the longer side off."""
        if not self.shortest_edge:
            return self.size
        long = int(self.shortest_edge * max(height, width) / min(height, width))
        return (long, self.shortest_edge) if height > width else (self.shortest_edge, long)


@dataclass(frozen=True)
class Preparation:
    """How images are opened, resized and cropped for one checkpoint. It can be pickled, and without a processor in it
    costs whoever unpickles it no transformers.
    """

    short_side: int | None
    """To how many pixels the shorter side is resized, for who opens it; None: it is to be opened whole."""
    by_torch: Resize | None
    processor: ImageProcessor | None
    """For what torch does not do."""

    @classmethod
    def of(
        cls, settings: ProcessorSettings, processor: Callable[[], ImageProcessor], *, exact: bool = False
    ) -> Preparation:
        """`processor`: the one of these settings, asked for only where it is needed. `exact`: images are opened whole,
        and the processor itself resizes. Else torch does, and no value differs by more than 1 of 255, but where bicubic
        interpolation overshoots black or white.
        """
        by_torch = None if exact else Resize.of(settings)
        enough = by_torch is not None and by_torch.fits_all
        return cls(None if exact else short_side(settings), by_torch, None if enough else processor())

    def open(self, data: bytes) -> tuple[Pixels, int]:
        """An image file's pixels [height, width, 3] as far as `resize` needs them, and by how much they were shrunk per
        side. Raises what `open_pixels` raises.
        """
        return open_pixels(data, self.short_side)

    def resize(self, image: Image.Image | Pixels) -> NDArray[np.uint8]:
        """An RGB image, or its pixels [height, width, 3] in an array of their own, resized and cropped: uint8 [3,
        height, width].
        """
        if self.by_torch is not None:
            pixels = image if isinstance(image, np.ndarray) else np.array(image)
            if (by_torch := self.by_torch(pixels)) is not None:
                return by_torch
        if self.processor is None:  # it would be here if any image were too small for torch's way
            raise AssertionError
        # of 3 x 3 pixels the processor could not tell which side is the colours
        layout = {"input_data_format": "channels_last"} if isinstance(image, np.ndarray) else {}
        by_processor = self.processor(images=[image], do_rescale=False, do_normalize=False, **layout)
        return np.asarray(by_processor["pixel_values"][0], dtype=np.uint8)


def short_side(settings: ProcessorSettings) -> int:
    """To how many pixels the shorter side of an image is resized."""
    size = settings.size
    return int(size.shortest_edge or min(size.height, size.width))
