"""Images and texts to unit vectors: what the server does and what training differentiates.

Shapes: B images, T texts, N tokens, D width of the shared space.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize
from transformers import BatchEncoding, CLIPImageProcessorPil, CLIPModel, PreTrainedTokenizerBase


def pixel_values(processor: CLIPImageProcessorPil, images: Sequence[Image.Image]) -> Tensor:
    """Resize, crop and normalize RGB images as `preprocessor_config.json` says: [B, 3, height, width], fp32."""
    return torch.as_tensor(processor(images=list(images), return_tensors="pt")["pixel_values"])


def resized(processor: CLIPImageProcessorPil, image: Image.Image) -> NDArray[np.uint8]:
    """The first half of `pixel_values`, for one RGB image: resized and cropped, uint8 [3, height, width]."""
    pixels = processor(images=[image], do_rescale=False, do_normalize=False)["pixel_values"][0]
    return np.asarray(pixels, dtype=np.uint8)


def normalized(processor: CLIPImageProcessorPil, pixels: NDArray[np.uint8]) -> Tensor:
    """The second half, for a batch [B, 3, height, width] of that: fp32, the very numbers that `pixel_values` gives.

    The processor itself says what becomes of each of the 256 values; looking that up takes a third of the time.
    """
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8), (3, 1, 256))
    unsized = {"do_resize": False, "do_center_crop": False, "do_convert_rgb": False}
    table = processor(images=[ramp], input_data_format="channels_first", **unsized)["pixel_values"][0][:, 0]
    return torch.from_numpy(np.stack([table[channel][pixels[:, channel]] for channel in range(3)], axis=1))


def short_side(processor: CLIPImageProcessorPil) -> int:
    """To how many pixels the shorter side of an image is resized."""
    size = processor.size
    return int(size.shortest_edge or min(size.height, size.width))


def embed_pixels(model: CLIPModel, pixels: Tensor) -> Tensor:
    """Preprocessed images [B, 3, height, width] as unit vectors [B, D], fp32, where the model is."""
    batch = pixels.to(model.device, model.dtype)
    features: Tensor = model.get_image_features(pixel_values=batch).pooler_output
    return normalize(features.float(), dim=-1)


def read_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], context_length: int) -> BatchEncoding:
    """Texts as token ids [T, N], cut to `context_length` and padded to the longest of them.

    Padding costs time but changes nothing: the text tower is causal and is read at the end token.
    """
    return tokenizer(list(texts), padding=True, truncation=True, max_length=context_length, return_tensors="pt")


def embed_tokens(model: CLIPModel, tokens: BatchEncoding) -> Tensor:
    """Token ids [T, N] as unit vectors [T, D], fp32, where the model is."""
    features: Tensor = model.get_text_features(**tokens.to(model.device)).pooler_output
    return normalize(features.float(), dim=-1)
