"""CLIP and SigLIP: where transformers' two models differ, and what they call their parts. All else asks here.

Both are two towers into one space, compared by cosine. SigLIP (Zhai et al. 2023, https://arxiv.org/abs/2303.15343) has
a bias beside the scale of its logits, whose sigmoid is the probability of a pair; its text tower looks both ways and is
read at the last place, so a text always fills all places; its projections are heads of the towers themselves.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from transformers import (
    AutoTokenizer,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    TokenizersBackend,
)

from contract import siglip_config
from contract.checkpoints import MAX_LOGIT_SCALE
from contract.clip_config import ClipConfig
from contract.siglip_tokenizer import GEMMA_CLASSES, tokenizer_class
from contract.tokenizer_files import SETTINGS
from model.clip.preprocess import ImageProcessor
from model.clip.tokens import Tokens

DualEncoder: TypeAlias = CLIPModel | SiglipModel
Described: TypeAlias = ClipConfig | siglip_config.SiglipConfig
"""A checkpoint's config.json, as it was checked."""

MAX_CLIP_SCALE = 100
"""CLIP's is clipped to this when it learns (section 2.5). SigLIP's is not, and published ones are at some 118."""

Layer = TypeVar("Layer", bound=nn.Module)
NewLayer = TypeVar("NewLayer", bound=nn.Module)


def load_model(
    directory: Path, described: Described, dtype: torch.dtype, weights: Mapping[str, Tensor] | None = None
) -> tuple[DualEncoder, dict[str, Any]]:
    """The weights of a folder, or those that were made of them, in the model that its config.json describes, and what
    transformers tells of them.
    """
    kind: Any = SiglipModel if isinstance(described, siglip_config.SiglipConfig) else CLIPModel
    loaded: tuple[DualEncoder, dict[str, Any]] = kind.from_pretrained(
        directory if weights is None else None,
        config=_config(described),
        state_dict=weights,
        local_files_only=True,
        use_safetensors=True,
        dtype=dtype,
        output_loading_info=True,
    )
    return loaded


def load_tokenizer(directory: Path, described: Described) -> PreTrainedTokenizerBase:
    """The class of the first SigLIP's tokenizer asks for SentencePiece and its file; tokenizer.json says the same."""
    given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    is_siglip = isinstance(described, siglip_config.SiglipConfig)
    tokenizer: PreTrainedTokenizerBase
    if is_siglip and _tokenizer_class(directory) not in GEMMA_CLASSES:
        tokenizer = TokenizersBackend.from_pretrained(directory, **given)
    else:
        tokenizer = AutoTokenizer.from_pretrained(directory, config=_config(described), **given)
    return tokenizer


def load_processor(directory: Path, described: Described, members: Mapping[str, Any] | None = None) -> ImageProcessor:
    """The folder's, or one of these `members`. A SigLIP's resizes to a square and does not crop, unless its file says
    otherwise.
    """
    is_siglip = isinstance(described, siglip_config.SiglipConfig)
    kind: Any = SiglipImageProcessorPil if is_siglip else CLIPImageProcessorPil
    processor: ImageProcessor = kind(**members) if members else kind.from_pretrained(directory, local_files_only=True)
    return processor


def _config(described: Described) -> CLIPConfig | SiglipConfig:
    # what else stands in config.json may name other code (attn_implementation), or spoil the answers (return_dict)
    kind = SiglipConfig if isinstance(described, siglip_config.SiglipConfig) else CLIPConfig
    return kind(**described.members())


def _tokenizer_class(directory: Path) -> str:
    path = directory / SETTINGS
    return tokenizer_class(json.loads(path.read_text()).get("tokenizer_class") if path.is_file() else None)


@dataclass(frozen=True)
class TextReader:
    """Texts as tokens, by transformers. `fills`: every text takes all of the `context_length` places."""

    tokenizer: PreTrainedTokenizerBase
    context_length: int
    fills: bool

    @classmethod
    def of(cls, model: DualEncoder, tokenizer: PreTrainedTokenizerBase) -> Self:
        """As a model reads them. To pad a batch to its longest text costs CLIP time but changes nothing: its text tower
        is causal and is read at the end token.
        """
        return cls(tokenizer, context_length(model), isinstance(model, SiglipModel))

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Texts as tokens, cut to `context_length`; with a mask if the tokenizer gives one."""
        tokens = self.tokenizer(
            list(texts),
            padding="max_length" if self.fills else True,
            truncation=True,
            max_length=self.context_length,
            return_tensors="pt",
        )
        cut = [bool(encoding.overflowing) for encoding in tokens.encodings]
        return Tokens(tokens["input_ids"], tokens.get("attention_mask"), cut)


def context_length(model: DualEncoder) -> int:
    """The most tokens a text may have, its start and end tokens included."""
    return int(model.config.text_config.max_position_embeddings)


def image_features(model: DualEncoder, pixels: Tensor) -> Tensor:
    """Preprocessed images [B, 3, height, width] as vectors of any length [B, D]."""
    features: Tensor = model.get_image_features(pixel_values=pixels).pooler_output
    return features


def visual_projection(model: DualEncoder) -> nn.Linear | None:
    """What makes vectors of the shared space of `unprojected_features`; None: a SigLIP has no such matrix."""
    return None if isinstance(model, SiglipModel) else model.visual_projection


def unprojected_features(model: DualEncoder, pixels: Tensor) -> Tensor:
    """Preprocessed images [B, 3, height, width] as the image tower of a CLIP leaves them [B, its width]."""
    features: Tensor = model.vision_model(pixel_values=pixels).pooler_output
    return features


def text_features(model: DualEncoder, tokens: Tokens) -> Tensor:
    """Texts [T, N] as vectors of any length [T, D], where the model is."""
    ids, mask = (None if each is None else each.to(model.device) for each in (tokens.ids, tokens.mask))
    features: Tensor = model.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
    return features


@dataclass(frozen=True)
class Tower:
    """One of a model's encoders. `head`: what makes a vector of what its last layer says, a projection included."""

    module: PreTrainedModel
    head: tuple[nn.Module, ...]

    @property
    def layers(self) -> nn.ModuleList:
        """Its transformer's, the first one first."""
        layers: nn.ModuleList = self.module.encoder.layers
        return layers


def image_tower(model: DualEncoder) -> Tower:
    """What reads images."""
    tower = model.vision_model
    return Tower(
        tower, (tower.post_layernorm, tower.head if isinstance(model, SiglipModel) else model.visual_projection)
    )


def text_tower(model: DualEncoder) -> Tower:
    """What reads texts."""
    tower = model.text_model
    return Tower(
        tower, (tower.final_layer_norm, tower.head if isinstance(model, SiglipModel) else model.text_projection)
    )


def tower_with(model: DualEncoder, parameter: str) -> Tower:
    """The one that a parameter belongs to, by its name."""
    return image_tower(model) if parameter.startswith("vision_model.") else text_tower(model)


def replace_image_layers(
    model: DualEncoder, kind: type[Layer], replacement: Callable[[Layer], NewLayer]
) -> list[NewLayer]:
    """Replace every layer of a kind in the image tower, by what is made of it, and return the new ones.

    Those in SigLIP's pooling stay: torch's attention reads their weights past their `forward`.
    """
    tower = model.vision_model
    kept = tuple(f"{name}." for name, module in tower.named_modules() if isinstance(module, nn.MultiheadAttention))
    found = {name: layer for name, layer in tower.named_modules() if isinstance(layer, kind)}
    layers = {name: replacement(layer) for name, layer in found.items() if not name.startswith(kept)}
    for name, layer in layers.items():
        tower.set_submodule(name, layer)
    return list(layers.values())


def logit_scale(model: DualEncoder) -> Tensor:
    """What cosines are multiplied by, as a tensor of one number that learns."""
    scale: Tensor = model.logit_scale.exp()
    return scale.squeeze()


def logit_bias(model: DualEncoder) -> Tensor | None:
    """What SigLIP adds then, as a tensor of one number that learns."""
    return model.logit_bias.squeeze() if isinstance(model, SiglipModel) else None


def logit_parameters(model: DualEncoder) -> list[Parameter]:
    """What either is made of."""
    return [model.logit_scale, model.logit_bias] if isinstance(model, SiglipModel) else [model.logit_scale]


@torch.no_grad()
def clip_logit_scale(model: DualEncoder) -> None:
    """Keep the scale where the architecture allows it while it learns."""
    model.logit_scale.clamp_(0, math.log(MAX_LOGIT_SCALE if isinstance(model, SiglipModel) else MAX_CLIP_SCALE))


def natural_loss(model: DualEncoder) -> Literal["infonce", "sigmoid"]:
    """What the architecture was made to learn by."""
    return "sigmoid" if isinstance(model, SiglipModel) else "infonce"
