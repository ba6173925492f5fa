"""Images and texts to unit vectors: what the server does and what training differentiates.

Shapes: B images, T texts, N tokens, D width of the shared space.
"""

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import normalize
from transformers import BatchEncoding, CLIPModel, PreTrainedTokenizerBase


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
