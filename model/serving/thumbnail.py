"""The "thumbnail" operation: an image shrunk to be looked at. Only the container opens images, so the API asks it."""

import base64
import io

import numpy as np
import torch
from PIL import Image

from model.clip.image import Pixels, open_image

QUALITY = 80


def thumbnail(data: bytes, size_px: int) -> Pixels:
    """An image file's pixels, shrunk until the longer side has `size_px`, [height, width, 3]; nothing is enlarged.

    Raises what `open_image` raises.
    """
    image = open_image(data, size_px)
    image.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
    return np.asarray(image)


def jpeg_text(pixels: torch.Tensor) -> str:
    """Pixels, uint8 [height, width, 3], as a JPEG in base64."""
    Image.fromarray(pixels.numpy()).save(file := io.BytesIO(), "JPEG", quality=QUALITY)
    return base64.b64encode(file.getvalue()).decode()
