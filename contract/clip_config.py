"""`config.json` and `preprocessor_config.json`: what of them makes a CLIP, and which shapes its weights have by them.

Defaults are those of transformers' CLIPConfig and CLIPImageProcessor; names that matter to neither are passed over.
"""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from contract.problems import BadRequest
from contract.validation import Stored

Shape = tuple[int, ...]

SERVED = ("clip", "siglip")
"""As model_type; the second one's configuration: siglip_config.py."""
LEGACY_END_TOKEN = 2
"""As eos_token_id: read a text at its highest token, as OpenAI's files ask for that have a wrong number there."""


def count(most: int) -> Any:
    """A whole number from 1 to `most`."""
    return Field(strict=True, ge=1, le=most)


Width = Annotated[int, count(16_384)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e6, le=1e6)]
Dtype = Literal["float64", "float32", "float16", "bfloat16"] | None
Switch = Annotated[bool, Field(strict=True)] | None
Side = Annotated[int, count(2048)]
ACTIVATIONS = Literal[
    "quick_gelu", "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_10", "relu", "silu", "swish"
]


def check_plain(given: object, *names: str) -> None:
    """Raises ValueError for members that bring code, or name other files than those that are looked at."""
    for name in names if isinstance(given, dict) else ():
        if given.get(name) is not None:  # type: ignore[attr-defined]
            raise ValueError(f"{name} is given, and a plain CLIP without code of its own is served: leave it out")


class Described(Stored):
    """No code of its own, and nothing that changes how the weights are read."""

    dtype: Dtype = None
    torch_dtype: Dtype = None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: Any) -> Any:
        check_plain(given, "auto_map", "quantization_config", "transformers_weights")
        return given


class Tower(Described):
    """Either tower's transformer."""

    hidden_size: Width
    intermediate_size: Annotated[int, count(65_536)]
    num_hidden_layers: Annotated[int, count(128)] = 12
    num_attention_heads: Annotated[int, count(256)]
    hidden_act: ACTIVATIONS = "quick_gelu"
    layer_norm_eps: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=1)] = 1e-5
    attention_dropout: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1)] | None = 0.0

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"{self.num_attention_heads} attention heads can't share a width of {self.hidden_size}")
        return self

    def layers(self, prefix: str) -> Iterator[tuple[str, Shape]]:
        """The tensors of its layers with their shapes."""
        width, inner = self.hidden_size, self.intermediate_size
        linear = {f"self_attn.{name}_proj": (width, width) for name in ("q", "k", "v", "out")}
        linear |= {"mlp.fc1": (inner, width), "mlp.fc2": (width, inner)}
        for layer in range(self.num_hidden_layers):
            for name, shape in linear.items():
                yield f"{prefix}.encoder.layers.{layer}.{name}.weight", shape
                yield f"{prefix}.encoder.layers.{layer}.{name}.bias", shape[:1]
            for name in ("layer_norm1", "layer_norm2"):
                yield from norm(f"{prefix}.encoder.layers.{layer}.{name}", width)


class TextTower(Tower):
    hidden_size: Width = 512
    intermediate_size: Annotated[int, count(65_536)] = 2048
    num_attention_heads: Annotated[int, count(256)] = 8
    vocab_size: Annotated[int, count(1_000_000)] = 49_408
    max_position_embeddings: Annotated[int, Field(strict=True, ge=3, le=4096)] = 77
    eos_token_id: Annotated[int, Field(strict=True, ge=0)] = 49_407

    @model_validator(mode="after")
    def _end_token_is_one(self) -> Self:
        if self.eos_token_id >= self.vocab_size:
            raise ValueError(f"eos_token_id is {self.eos_token_id}, and vocab_size {self.vocab_size}: it must be less")
        return self

    def tensors(self) -> Iterator[tuple[str, Shape]]:
        """All of its tensors with their shapes."""
        yield "text_model.embeddings.token_embedding.weight", (self.vocab_size, self.hidden_size)
        yield "text_model.embeddings.position_embedding.weight", (self.max_position_embeddings, self.hidden_size)
        yield from self.layers("text_model")
        yield from norm("text_model.final_layer_norm", self.hidden_size)


class ImageTower(Tower):
    hidden_size: Width = 768
    intermediate_size: Annotated[int, count(65_536)] = 3072
    num_attention_heads: Annotated[int, count(256)] = 12
    image_size: Side = 224
    patch_size: Side = 32
    num_channels: Annotated[int, Field(strict=True, ge=3, le=3)] = 3

    @model_validator(mode="after")
    def _patches_fit(self) -> Self:
        if self.patch_size > self.image_size:
            raise ValueError(f"a patch of {self.patch_size} pixels is larger than the image of {self.image_size}")
        return self

    def tensors(self) -> Iterator[tuple[str, Shape]]:
        """All of its tensors with their shapes."""
        width, side = self.hidden_size, self.patch_size
        patches = (self.image_size // side) ** 2
        yield "vision_model.embeddings.class_embedding", (width,)
        yield "vision_model.embeddings.patch_embedding.weight", (width, self.num_channels, side, side)
        yield "vision_model.embeddings.position_embedding.weight", (patches + 1, width)
        yield from norm("vision_model.pre_layrnorm", width)
        yield from self.layers("vision_model")
        yield from norm("vision_model.post_layernorm", width)


class ClipConfig(Described):
    """`config.json`."""

    NAME: ClassVar[str] = "CLIP"

    model_type: str
    architectures: list[str] | None = None
    projection_dim: Width = 512
    logit_scale_init_value: Number = 2.6592
    text_config: TextTower
    vision_config: ImageTower

    @model_validator(mode="before")
    @classmethod
    def _towers(cls, given: Any) -> Any:
        """What is said under an older name comes first, as in transformers."""
        if not isinstance(given, dict):
            return given
        towers = {}
        for name in ("text_config", "vision_config"):
            older = given.get(f"{name}_dict")
            said = given.get(name) if older is None else older
            towers[name] = {} if said is None else said
        return {**given, **towers}

    @field_validator("model_type")
    @classmethod
    def _is_clip(cls, found: str) -> str:
        if found != "clip":
            raise ValueError(f"{found[:60]!r} is not served, allowed are {' and '.join(map(repr, SERVED))}")
        return found

    def members(self) -> dict[str, Any]:
        """Those of transformers' CLIPConfig that are looked at here, which are all that make the model."""
        described = {"dtype", "torch_dtype"}
        left_out = {"model_type", "architectures", *described}
        towers = {"text_config": described, "vision_config": described}
        return self.model_dump(exclude={**dict.fromkeys(left_out, True), **towers}, exclude_none=True)

    def tensors(self) -> dict[str, Shape]:
        """Every tensor that the model needs, with its shape."""
        joint = {
            "logit_scale": (),
            "text_projection.weight": (self.projection_dim, self.text_config.hidden_size),
            "visual_projection.weight": (self.projection_dim, self.vision_config.hidden_size),
        }
        return {**joint, **dict(self.text_config.tensors()), **dict(self.vision_config.tensors())}


def norm(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    """The tensors of a layer norm with their shapes."""
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


class Size(Stored):
    """Of an image, in pixels: its shorter side, or both."""

    shortest_edge: Side | None = None
    height: Side | None = None
    width: Side | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_a_number(cls, given: Any) -> Any:
        return {"shortest_edge": given} if isinstance(given, int) else given

    @model_validator(mode="after")
    def _one_or_both(self) -> Self:
        if (self.shortest_edge is None) == (self.height is None or self.width is None):
            raise ValueError("give shortest_edge, or height and width")
        return self


Channels = tuple[Number, Number, Number]
"""One for red, green and blue."""
Spread = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=1e-3, le=1e3)]


_NAMES_OF_PROCESSORS = {"image_processor_type", "feature_extractor_type", "processor_class"}
_SIDES = {"shortest_edge", "height", "width"}


class Processor(Stored):
    """`preprocessor_config.json`. What is null there is as if it were not there. `has_more`: it says something that is
    not looked at here, which may change what transformers makes of an image.
    """

    has_more: bool = False
    do_resize: Switch = True
    do_center_crop: Switch = True
    do_rescale: Switch = True
    do_normalize: Switch = True
    do_convert_rgb: Switch = True
    size: Size = Field(default_factory=lambda: Size(shortest_edge=224))
    crop_size: Size = Field(default_factory=lambda: Size(height=224, width=224))
    resample: Annotated[int, Field(strict=True, ge=0, le=5)] = 3
    rescale_factor: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=1e-6, le=255)] = 1 / 255
    image_mean: Channels = (0.48145466, 0.4578275, 0.40821073)
    image_std: tuple[Spread, Spread, Spread] = (0.26862954, 0.26130258, 0.27577711)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        check_plain(given, "auto_map")
        said = {name: value for name, value in given.items() if value is not None}
        sizes = [said.get(name) for name in ("size", "crop_size")]
        has_more = bool(said.keys() - cls.model_fields.keys() - _NAMES_OF_PROCESSORS) or any(
            isinstance(size, dict) and size.keys() - _SIDES for size in sizes
        )
        said |= {"has_more": has_more}
        return said | ({"crop_size": {"height": sizes[1], "width": sizes[1]}} if isinstance(sizes[1], int) else {})

    def check_fits(self, image_size: int) -> None:
        """Raises BadRequest if what it makes of an image is not what the image tower reads."""
        made = self.crop_size if self.do_center_crop else self.size if self.do_resize else None
        if made is None or made.height is None or made.width is None:
            found = "no size that is the same for all"
        elif (made.height, made.width) == (image_size, image_size):
            return
        else:
            found = f"{made.height} x {made.width} pixels"
        raise BadRequest(f"images are prepared to {found}, and the model reads {image_size} x {image_size} pixels")
