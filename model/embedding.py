"""Images and texts to unit vectors, with gradients where the caller wants them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize
from transformers import CLIPModel, PreTrainedTokenizerBase


def embed_images(model: CLIPModel, pixels: Tensor) -> Tensor:
    """shape = [images, projection]"""
    features: Tensor = model.get_image_features(pixel_values=pixels).pooler_output
    return normalize(features, dim=-1)


def embed_texts(model: CLIPModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Tensor:
    """Padded to the longest of the texts, not to the context length. shape = [texts, projection]"""
    limit = model.config.text_config.max_position_embeddings
    tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt")
    features: Tensor = model.get_text_features(**tokens.to(model.device)).pooler_output
    return normalize(features, dim=-1)


@torch.no_grad()
def embed_images_in_chunks(model: CLIPModel, pixels: Tensor, chunk: int = 128) -> Tensor:
    """Without gradients, in bounded memory. shape = [images, projection]"""
    parts = [embed_images(model, part.to(model.device)) for part in pixels.split(chunk)]  # type: ignore[no-untyped-call]
    return torch.cat(parts)
