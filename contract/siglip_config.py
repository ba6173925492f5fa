"""A SigLIP's `config.json` and `preprocessor_config.json`, and which shapes its weights have by them. SigLIP 2 of a
fixed resolution says the same.

Sigmoid Loss for Language Image Pre-Training, Zhai et al. 2023, https://arxiv.org/abs/2303.15343. Defaults are those of
transformers' SiglipConfig and SiglipImageProcessor.
"""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from contract.clip_config import (
    ACTIVATIONS,
    Channels,
    Described,
    Processor,
    Shape,
    Side,
    Size,
    Spread,
    Switch,
    Tower,
    Width,
    count,
    norm,
)

PROCESSOR_TYPES = ("SiglipImageProcessor", "SiglipImageProcessorFast", "SiglipImageProcessorPil")
_EPSILON = Field(strict=True, allow_inf_nan=False, gt=0, le=1)


class SiglipTower(Tower):
    hidden_size: Width = 768
    intermediate_size: Annotated[int, count(65_536)] = 3072
    num_attention_heads: Annotated[int, count(256)] = 12
    hidden_act: ACTIVATIONS = "gelu_pytorch_tanh"
    layer_norm_eps: Annotated[float, _EPSILON] = 1e-6


class SiglipTextTower(SiglipTower):
    """A text is read at its last place, which is padding unless the text fills all."""

    vocab_size: Annotated[int, count(1_000_000)] = 32_000
    max_position_embeddings: Annotated[int, Field(strict=True, ge=3, le=4096)] = 64
    projection_size: Width | None = None

    @property
    def vector_size(self) -> int:
        """The width of a text's vector."""
        return self.projection_size or self.hidden_size

    def tensors(self) -> Iterator[tuple[str, Shape]]:
        """All of its tensors with their shapes."""
        yield "text_model.embeddings.token_embedding.weight", (self.vocab_size, self.hidden_size)
        yield "text_model.embeddings.position_embedding.weight", (self.max_position_embeddings, self.hidden_size)
        yield from self.layers("text_model")
        yield from norm("text_model.final_layer_norm", self.hidden_size)
        yield "text_model.head.weight", (self.vector_size, self.hidden_size)
        yield "text_model.head.bias", (self.vector_size,)


class SiglipImageTower(SiglipTower):
    image_size: Side = 224
    patch_size: Side = 16
    num_channels: Annotated[int, Field(strict=True, ge=3, le=3)] = 3
    vision_use_head: Literal[True] = True
    """Without its head the tower makes no vector of an image."""

    @model_validator(mode="after")
    def _patches_fit(self) -> Self:
        if self.patch_size > self.image_size:
            raise ValueError(f"a patch of {self.patch_size} pixels is larger than the image of {self.image_size}")
        return self

    def tensors(self) -> Iterator[tuple[str, Shape]]:
        """All of its tensors with their shapes; the head attends to all patches with one learnt probe."""
        width, inner, side = self.hidden_size, self.intermediate_size, self.patch_size
        yield "vision_model.embeddings.patch_embedding.weight", (width, self.num_channels, side, side)
        yield "vision_model.embeddings.patch_embedding.bias", (width,)
        yield "vision_model.embeddings.position_embedding.weight", ((self.image_size // side) ** 2, width)
        yield from self.layers("vision_model")
        yield from norm("vision_model.post_layernorm", width)
        yield "vision_model.head.probe", (1, 1, width)
        yield "vision_model.head.attention.in_proj_weight", (3 * width, width)
        yield "vision_model.head.attention.in_proj_bias", (3 * width,)
        yield "vision_model.head.attention.out_proj.weight", (width, width)
        yield "vision_model.head.attention.out_proj.bias", (width,)
        yield from norm("vision_model.head.layernorm", width)
        yield "vision_model.head.mlp.fc1.weight", (inner, width)
        yield "vision_model.head.mlp.fc1.bias", (inner,)
        yield "vision_model.head.mlp.fc2.weight", (width, inner)
        yield "vision_model.head.mlp.fc2.bias", (width,)


class SiglipConfig(Described):
    """`config.json`."""

    NAME: ClassVar[str] = "SigLIP"

    model_type: Literal["siglip"]
    text_config: SiglipTextTower
    vision_config: SiglipImageTower

    @model_validator(mode="before")
    @classmethod
    def _towers(cls, given: Any) -> Any:
        """What is null is as if it were not there."""
        if not isinstance(given, dict):
            return given
        towers = {name: given.get(name) for name in ("text_config", "vision_config")}
        return given | {name: {} if said is None else said for name, said in towers.items()}

    @model_validator(mode="after")
    def _one_space(self) -> Self:
        texts, images = self.text_config.vector_size, self.vision_config.hidden_size
        if texts != images:
            raise ValueError(
                f"a text's vector is {texts} wide (projection_size), and an image's {images}: not one space"
            )
        return self

    def members(self) -> dict[str, Any]:
        """Those of transformers' SiglipConfig that are looked at here, which are all that make the model."""
        described = {"dtype", "torch_dtype"}
        towers = {"text_config": described, "vision_config": described}
        left_out = dict.fromkeys(("model_type", *described), True)
        members = self.model_dump(exclude={**left_out, **towers}, exclude_none=True)
        # nothing is read at these tokens, and transformers' defaults are beyond most vocabularies
        members["text_config"] |= {"bos_token_id": None, "eos_token_id": None}
        return members

    def tensors(self) -> dict[str, Shape]:
        """Every tensor that the model needs, with its shape."""
        joint = {"logit_scale": (1,), "logit_bias": (1,)}
        return {**joint, **dict(self.text_config.tensors()), **dict(self.vision_config.tensors())}


class SiglipProcessor(Processor):
    """`preprocessor_config.json`: an image is resized to a square, whatever its proportions."""

    do_center_crop: Switch = False
    size: Size = Field(default_factory=lambda: Size(height=224, width=224))
    image_mean: Channels = (0.5, 0.5, 0.5)
    image_std: tuple[Spread, Spread, Spread] = (0.5, 0.5, 0.5)
    image_processor_type: str | None = None

    @model_validator(mode="after")
    def _is_siglips(self) -> Self:
        if self.image_processor_type not in (None, *PROCESSOR_TYPES):
            raise ValueError(
                f"image_processor_type is {self.image_processor_type[:60]!r}, allowed is {PROCESSOR_TYPES[0]!r}"
            )
        return self
