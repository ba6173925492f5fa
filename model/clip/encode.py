"""`Clip`: a checkpoint as two encoders into one space of unit vectors.

Learning Transferable Visual Models From Natural Language Supervision, Radford et al. 2021, section 2.3.
Shapes: B images, T texts, N tokens, D width of the shared space.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize
from transformers import BatchEncoding

from contract.questions import Question
from model.clip.architecture import (
    DualEncoder,
    Layer,
    NewLayer,
    TextReader,
    image_background,
    image_features,
    logit_scale,
    replace_image_layers,
    text_features,
    with_own_sigmoid,
)
from model.clip.checkpoint import Checkpoint
from model.clip.image import Pixels
from model.clip.preparation import Preparation
from model.clip.preprocess import Normalization
from model.clip.scoring import LabelEmbeds, label_embeds, prompts_of


@dataclass(frozen=True)
class TextEmbedding:
    """A text as a unit vector [D], fp32, on the CPU. `truncated`: the text was longer than the model reads."""

    vector: torch.Tensor
    truncated: bool


class Clip:
    """The two encoders of a checkpoint. Its methods may run in any thread; the encoders want one at a time.

    `exact`: images are prepared as transformers does, to the last bit. Else in a fraction of the time and not quite:
    large JPEGs are shrunk while they are decoded, and torch resizes (see `open_pixels` and `Preparation`).
    """

    def __init__(self, checkpoint: Checkpoint, *, exact: bool = True) -> None:
        self.model = checkpoint.model
        self.device: torch.device = checkpoint.model.device  # where the encoders are
        self.version = checkpoint.metadata.version
        self.calibration = with_own_sigmoid(checkpoint.metadata.calibration, checkpoint.model)
        self.context_length = checkpoint.context_length
        self.logit_scale = float(logit_scale(checkpoint.model).detach().float())
        self.background = image_background(checkpoint.model)  # for `fit_head`
        self.normalization = Normalization.of(checkpoint.processor, self.device)
        self.read_texts = TextReader.of(checkpoint.model, checkpoint.tokenizer)
        self.preparation = Preparation.of(checkpoint.processor, exact=exact)

    @property
    def parameters(self) -> int:
        """How many numbers the encoders have learnt."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def reserved_bytes(self) -> int:
        """GPU memory that torch holds for this process."""
        return torch.cuda.memory_reserved(self.device)

    def replace_image_layers(self, kind: type[Layer], replacement: Callable[[Layer], NewLayer]) -> list[NewLayer]:
        """Replace every layer of a kind in the image tower, by what is made of it, and return the new ones."""
        return replace_image_layers(self.model, kind, replacement)

    def open(self, data: bytes) -> tuple[Pixels, int]:
        """An image file's pixels [height, width, 3] as far as `preprocess` needs them, and by how much they were shrunk
        per side.

        Raises what `open_pixels` raises.
        """
        return self.preparation.open(data)

    def preprocess(self, image: Image.Image | Pixels) -> torch.Tensor:
        """Resize and crop an RGB image, or its pixels, as `preprocessor_config.json` says: uint8 [3, height, width]."""
        return torch.from_numpy(self.preparation.resize(image))

    def blank_pixels(self, images: int = 1) -> torch.Tensor:
        """Preprocessed black images, for a first try. shape = [B, 3, height, width]"""
        return self.preprocess(Image.new("RGB", (1, 1))).expand(images, -1, -1, -1).contiguous()

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Preprocessed images [B, 3, height, width] as unit vectors [B, D], fp32, both where the model is."""
        return embed_pixels(self.model, self.normalization(pixels))

    @torch.inference_mode()
    def embed_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """The same for one batch of any size, from the CPU to the CPU."""
        return self.encode_images(pixels.to(self.device)).cpu()

    def encode_tokens(self, tokens: BatchEncoding) -> torch.Tensor:
        """Tokens [T, N] as unit vectors [T, D], fp32, where the model is."""
        return embed_tokens(self.model, tokens)

    @torch.inference_mode()
    def embed_texts(
        self, texts: Sequence[str], encode: Callable[[BatchEncoding], torch.Tensor] | None = None
    ) -> list[TextEmbedding]:
        """One batch of texts as unit vectors, in order; what exceeds `context_length` tokens is cut off and said so.

        `encode`: something else that does what `encode_tokens` does.
        """
        tokens = self.read_texts(texts)
        # cloned: a view would keep the whole batch in memory for as long as one of its texts is cached
        vectors = [vector.clone() for vector in (encode or self.encode_tokens)(tokens).cpu()]
        cut = [bool(encoding.overflowing) for encoding in tokens.encodings]
        return [TextEmbedding(vector, truncated) for vector, truncated in zip(vectors, cut, strict=True)]

    def embed_question(self, question: Question) -> LabelEmbeds:
        """A question's labels, all of their sentences read in one batch."""
        prompts = list(prompts_of(question))
        vectors = [each.vector for each in self.embed_texts(prompts)]
        return label_embeds(question, dict(zip(prompts, vectors, strict=True)))


def embed_pixels(model: DualEncoder, pixels: Tensor) -> Tensor:
    """Preprocessed images [B, 3, height, width] as unit vectors [B, D], fp32, where the model is."""
    batch = pixels.to(model.device, model.dtype)
    return normalize(image_features(model, batch).float(), dim=-1)


def embed_tokens(model: DualEncoder, tokens: BatchEncoding) -> Tensor:
    """Token ids [T, N] as unit vectors [T, D], fp32, where the model is."""
    return normalize(text_features(model, tokens.to(model.device)).float(), dim=-1)
