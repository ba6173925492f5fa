"""`Clip`: a checkpoint as two encoders into one space of unit vectors.

Learning Transferable Visual Models From Natural Language Supervision, Radford et al. 2021, section 2.3.
Shapes: B images, T texts, N tokens, D width of the shared space.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from contract.questions import Question
from model.clip.architecture import (
    DualEncoder,
    Layer,
    NewLayer,
    TextReader,
    image_features,
    logit_bias,
    logit_scale,
    replace_image_layers,
    text_features,
)
from model.clip.checkpoint import Checkpoint
from model.clip.preparation import Normalization, Preparation
from model.clip.processing import Processing, TextEmbedding, with_own_sigmoid
from model.clip.scoring import LabelEmbeds, label_embeds, prompts_of
from model.clip.tokens import Tokens
from model.clip.tower_weights import image_background


class Clip(Processing):
    """The two encoders of a checkpoint, by transformers. The encoders want one thread at a time.

    `exact`: see `Processing`.
    """

    def __init__(self, checkpoint: Checkpoint, *, exact: bool = True) -> None:
        self.model = checkpoint.model
        self.device: torch.device = checkpoint.model.device  # where the encoders are
        scale = float(logit_scale(self.model).detach().float())
        bias = logit_bias(self.model)
        super().__init__(
            version=checkpoint.metadata.version,
            calibration=with_own_sigmoid(
                checkpoint.metadata.calibration, scale, None if bias is None else float(bias.detach().float())
            ),
            context_length=checkpoint.context_length,
            logit_scale=scale,
            preparation=Preparation.of(checkpoint.processor, lambda: checkpoint.processor, exact=exact),
            background=image_background(self.model.state_dict()),
            normalization=Normalization.of(checkpoint.processor, self.device),
            read_texts=TextReader.of(self.model, checkpoint.tokenizer),
        )

    @property
    def parameters(self) -> int:
        """How many numbers the encoders have learnt."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def replace_image_layers(self, kind: type[Layer], replacement: Callable[[Layer], NewLayer]) -> list[NewLayer]:
        """Replace every layer of a kind in the image tower, by what is made of it, and return the new ones."""
        return replace_image_layers(self.model, kind, replacement)

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Preprocessed images [B, 3, height, width] as unit vectors [B, D], fp32, both where the model is."""
        return embed_pixels(self.model, self.normalization(pixels))

    @torch.inference_mode()
    def embed_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """The same for one batch of any size, from the CPU to the CPU."""
        return self.encode_images(pixels.to(self.device)).cpu()

    def encode_tokens(self, tokens: Tokens) -> torch.Tensor:
        """Tokens [T, N] as unit vectors [T, D], fp32, where the model is."""
        return embed_tokens(self.model, tokens)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """One batch of texts as unit vectors, in order; what exceeds `context_length` tokens is cut off and said so."""
        return self.embed_texts_by(self.encode_tokens, texts)

    def embed_question(self, question: Question) -> LabelEmbeds:
        """A question's labels, all of their sentences read in one batch."""
        prompts = list(prompts_of(question))
        vectors = [each.vector for each in self.embed_texts(prompts)]
        return label_embeds(question, dict(zip(prompts, vectors, strict=True)))


def embed_pixels(model: DualEncoder, pixels: Tensor) -> Tensor:
    """Preprocessed images [B, 3, height, width] as unit vectors [B, D], fp32, where the model is."""
    batch = pixels.to(model.device, model.dtype)
    return normalize(image_features(model, batch).float(), dim=-1)


def embed_tokens(model: DualEncoder, tokens: Tokens) -> Tensor:
    """Tokens [T, N] as unit vectors [T, D], fp32, where the model is."""
    return normalize(text_features(model, tokens).float(), dim=-1)
