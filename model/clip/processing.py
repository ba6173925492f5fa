"""What goes into a checkpoint's towers and what becomes of what they answer: all of it but the towers themselves.

Nothing here imports transformers unless a folder says more than is known here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from contract.checkpoints import Calibration, Checked, CheckpointMetadata, MultiLabelCalibration
from contract.siglip_config import SiglipConfig
from model.clip.clip_tokenizer import plain_tokenizer
from model.clip.image import Pixels
from model.clip.preparation import Normalization, Preparation
from model.clip.tokens import CausalReader, ReadTexts, Tokens
from model.clip.tower_weights import image_background

if TYPE_CHECKING:
    from model.clip.preprocess import ImageProcessor


@dataclass(frozen=True)
class TextEmbedding:
    """A text as a unit vector [D], fp32, on the CPU. `truncated`: the text was longer than the model reads."""

    vector: Tensor
    truncated: bool


@dataclass
class Processing:
    """Of a checkpoint. Its methods may run in any thread.

    `exact`: images are prepared as transformers does, to the last bit. Else in a fraction of the time and not quite:
    large JPEGs are shrunk while they are decoded, and torch resizes (see `open_pixels` and `Preparation`).
    """

    version: str
    calibration: Calibration
    context_length: int
    logit_scale: float
    """What cosines are multiplied by."""
    background: Tensor | None
    """In which directions images differ anyway [D, D], for `fit_head`."""
    preparation: Preparation
    normalization: Normalization
    read_texts: ReadTexts

    @classmethod
    def read(
        cls, directory: Path, checked: Checked, metadata: CheckpointMetadata, weights: dict[str, Tensor], *, exact: bool
    ) -> "Processing":
        """What a folder says, which was checked, and its tensors by the names that transformers gives them."""
        scale = float(weights["logit_scale"].float().exp().squeeze())
        bias = float(weights["logit_bias"].float().squeeze()) if "logit_bias" in weights else None
        settings = _processor(directory, checked) if checked.processor.has_more else checked.processor
        return cls(
            metadata.version,
            with_own_sigmoid(metadata.calibration, scale, bias),
            checked.config.text_config.max_position_embeddings,
            scale,
            image_background(weights),
            Preparation.of(settings, lambda: _processor(directory, checked), exact=exact),
            Normalization.of(settings),
            _read_texts(directory, checked),
        )

    def open(self, data: bytes) -> tuple[Pixels, int]:
        """An image file's pixels [height, width, 3] as far as `preprocess` needs them, and by how much they were shrunk
        per side.

        Raises what `open_pixels` raises.
        """
        return self.preparation.open(data)

    def preprocess(self, image: Image.Image | Pixels) -> Tensor:
        """Resize and crop an RGB image, or its pixels, as `preprocessor_config.json` says: uint8 [3, height, width]."""
        return torch.from_numpy(self.preparation.resize(image))

    def blank_pixels(self, images: int = 1) -> Tensor:
        """Preprocessed black images, for a first try. shape = [B, 3, height, width]"""
        return self.preprocess(Image.new("RGB", (1, 1))).expand(images, -1, -1, -1).contiguous()

    def embed_texts_by(self, encode: Callable[[Tokens], Tensor], texts: Sequence[str]) -> list[TextEmbedding]:
        """One batch of texts as unit vectors, in order; what exceeds `context_length` tokens is cut off and said so.

        `encode`: tokens [T, N] to unit vectors [T, D].
        """
        tokens = self.read_texts(texts)
        # cloned: a view would keep the whole batch in memory for as long as one of its texts is cached
        vectors = [vector.clone() for vector in encode(tokens).cpu()]
        return [TextEmbedding(vector, cut) for vector, cut in zip(vectors, tokens.truncated, strict=True)]


def with_own_sigmoid(calibration: Calibration, scale: float, bias: float | None) -> Calibration:
    """A SigLIP's scores of lone labels are its own sigmoid(scale * cosine + bias), unless something else was fitted."""
    if bias is None or calibration.multi_label is not None:
        return calibration
    return calibration.model_copy(update={"multi_label": MultiLabelCalibration(a=scale, b=bias)})


def _read_texts(directory: Path, checked: Checked) -> ReadTexts:
    is_siglip = isinstance(checked.config, SiglipConfig)
    context_length = checked.config.text_config.max_position_embeddings
    plain = None if is_siglip else plain_tokenizer(directory)
    if plain is not None:
        return CausalReader.of(plain.tokenizer, context_length, plain.pad_token)
    from model.clip.architecture import TextReader, load_tokenizer

    return TextReader(load_tokenizer(directory, checked.config), context_length, is_siglip)


def _processor(directory: Path, checked: Checked) -> "ImageProcessor":
    from model.clip.architecture import load_processor

    members: dict[str, Any] | None = checked.open_clip.preprocessor if checked.open_clip else None
    return load_processor(directory, checked.config, members)
