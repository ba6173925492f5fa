"""A checkpoint's two towers as arrays, for whoever computes them without transformers: what each weight is for.

Both are pre-norm transformers (Radford et al. 2021, section 2.4; Zhai et al. 2023 for SigLIP's). Shapes: D width of a
tower, H of its feed-forward part, P patches of an image, N places of a text, V tokens, E width of the shared space.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.clip_config import LEGACY_END_TOKEN, ClipConfig
from contract.clip_config import Tower as TowerConfig
from contract.siglip_config import SiglipConfig

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Linear:
    """x @ weight.T + bias: weight [outputs, inputs], bias [outputs]."""

    weight: Array
    bias: Array | None


@dataclass(frozen=True)
class Norm:
    """A layer norm: weight and bias [D]."""

    weight: Array
    bias: Array
    epsilon: float


@dataclass(frozen=True)
class Attention:
    """Of several heads, side by side in D."""

    query: Linear
    key: Linear
    value: Linear
    out: Linear
    heads: int


@dataclass(frozen=True)
class FeedForward:
    """[D] to [H], the activation by its name in config.json, and back."""

    up: Linear
    down: Linear
    activation: str


@dataclass(frozen=True)
class Layer:
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    attention_norm: Norm
    attention: Attention
    feed_forward_norm: Norm
    feed_forward: FeedForward


@dataclass(frozen=True)
class Pooling:
    """SigLIP's image vector: what a learnt probe [1, 1, D] attends to in all patches, and its own feed-forward part."""

    probe: Array
    attention: Attention
    norm: Norm
    feed_forward: FeedForward


@dataclass(frozen=True)
class ImageTower:
    """`patches`: weight [D, 3 * side * side], in the order channel, row, column. `class_place` [D] stands before the
    patches, and the vector is read there; without one it is pooled. `positions`: [P or P + 1, D].
    """

    patches: Linear
    side: int
    class_place: Array | None
    positions: Array
    first_norm: Norm | None
    layers: tuple[Layer, ...]
    last_norm: Norm
    pooling: Pooling | None
    projection: Linear | None


@dataclass(frozen=True)
class TextTower:
    """`tokens` [V, D], `positions` [N, D]. `causal`: no place sees those behind it. A text is read at the first
    `end_token`, or at its highest token (HIGHEST), or at the last place (LAST).
    """

    tokens: Array
    positions: Array
    layers: tuple[Layer, ...]
    causal: bool
    last_norm: Norm
    end_token: int
    projection: Linear


HIGHEST, LAST = -1, -2


def image_tower_of(config: ClipConfig | SiglipConfig, weights: Mapping[str, Tensor]) -> ImageTower:
    """The one that config.json describes, of the tensors by the names that transformers' models give them, in any type
    of numbers.
    """
    named = _Named(weights)
    return _siglip_image(config, named) if isinstance(config, SiglipConfig) else _clip_image(config, named)


def text_tower_of(config: ClipConfig | SiglipConfig, weights: Mapping[str, Tensor]) -> TextTower:
    """The same for texts."""
    named = _Named(weights)
    return _siglip_text(config, named) if isinstance(config, SiglipConfig) else _clip_text(config, named)


@torch.no_grad()
def image_background(weights: Mapping[str, Tensor]) -> Tensor | None:
    """In which directions images differ anyway [E, E], as far as the weights tell: the covariance W γ² Wᵀ that CLIP's
    projection gives to what the normalisation before it makes equally wide. SigLIP's head is no projection.
    """
    if "visual_projection.weight" not in weights:
        return None
    names = "visual_projection.weight", "vision_model.post_layernorm.weight"
    projection, gain = (weights[name].cpu().float() for name in names)
    return (projection * gain) @ (projection * gain).T


class _Named:
    """Tensors by name, as arrays of 32 bits; those that have them already stay where they lie."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._weights = weights

    def array(self, name: str) -> Array:
        found: Array = self._weights[name].detach().to("cpu", torch.float32).contiguous().numpy()
        return found

    def linear(self, name: str, *, bias: bool = True) -> Linear:
        return Linear(self.array(f"{name}.weight"), self.array(f"{name}.bias") if bias else None)

    def norm(self, name: str, epsilon: float) -> Norm:
        return Norm(self.array(f"{name}.weight"), self.array(f"{name}.bias"), epsilon)

    def feed_forward(self, name: str, activation: str) -> FeedForward:
        return FeedForward(self.linear(f"{name}.fc1"), self.linear(f"{name}.fc2"), activation)

    def patches(self, name: str, *, bias: bool) -> Linear:
        convolution = self.array(f"{name}.weight")  # [D, 3, side, side]
        return Linear(convolution.reshape(len(convolution), -1), self.array(f"{name}.bias") if bias else None)

    def layers(self, prefix: str, config: TowerConfig) -> tuple[Layer, ...]:
        return tuple(
            self._layer(f"{prefix}.encoder.layers.{number}", config) for number in range(config.num_hidden_layers)
        )

    def _layer(self, name: str, config: TowerConfig) -> Layer:
        query, key, value, out = (self.linear(f"{name}.self_attn.{part}_proj") for part in ("q", "k", "v", "out"))
        return Layer(
            self.norm(f"{name}.layer_norm1", config.layer_norm_eps),
            Attention(query, key, value, out, config.num_attention_heads),
            self.norm(f"{name}.layer_norm2", config.layer_norm_eps),
            self.feed_forward(f"{name}.mlp", config.hidden_act),
        )


def _clip_image(config: ClipConfig, named: _Named) -> ImageTower:
    tower, name = config.vision_config, "vision_model"
    return ImageTower(
        patches=named.patches(f"{name}.embeddings.patch_embedding", bias=False),
        side=tower.patch_size,
        class_place=named.array(f"{name}.embeddings.class_embedding"),
        positions=named.array(f"{name}.embeddings.position_embedding.weight"),
        first_norm=named.norm(f"{name}.pre_layrnorm", tower.layer_norm_eps),
        layers=named.layers(name, tower),
        last_norm=named.norm(f"{name}.post_layernorm", tower.layer_norm_eps),
        pooling=None,
        projection=named.linear("visual_projection", bias=False),
    )


def _clip_text(config: ClipConfig, named: _Named) -> TextTower:
    tower, name = config.text_config, "text_model"
    return TextTower(
        tokens=named.array(f"{name}.embeddings.token_embedding.weight"),
        positions=named.array(f"{name}.embeddings.position_embedding.weight"),
        layers=named.layers(name, tower),
        causal=True,
        last_norm=named.norm(f"{name}.final_layer_norm", tower.layer_norm_eps),
        end_token=HIGHEST if tower.eos_token_id == LEGACY_END_TOKEN else tower.eos_token_id,
        projection=named.linear("text_projection", bias=False),
    )


def _siglip_image(config: SiglipConfig, named: _Named) -> ImageTower:
    tower, name = config.vision_config, "vision_model"
    return ImageTower(
        patches=named.patches(f"{name}.embeddings.patch_embedding", bias=True),
        side=tower.patch_size,
        class_place=None,
        positions=named.array(f"{name}.embeddings.position_embedding.weight"),
        first_norm=None,
        layers=named.layers(name, tower),
        last_norm=named.norm(f"{name}.post_layernorm", tower.layer_norm_eps),
        pooling=_pooling(config, named, f"{name}.head"),
        projection=None,
    )


def _pooling(config: SiglipConfig, named: _Named, name: str) -> Pooling:
    tower = config.vision_config
    weights = np.split(named.array(f"{name}.attention.in_proj_weight"), 3)
    biases = np.split(named.array(f"{name}.attention.in_proj_bias"), 3)
    query, key, value = (Linear(weight, bias) for weight, bias in zip(weights, biases, strict=True))
    return Pooling(
        probe=named.array(f"{name}.probe"),
        attention=Attention(
            query, key, value, named.linear(f"{name}.attention.out_proj"), heads=tower.num_attention_heads
        ),
        norm=named.norm(f"{name}.layernorm", tower.layer_norm_eps),
        feed_forward=named.feed_forward(f"{name}.mlp", tower.hidden_act),
    )


def _siglip_text(config: SiglipConfig, named: _Named) -> TextTower:
    tower, name = config.text_config, "text_model"
    return TextTower(
        tokens=named.array(f"{name}.embeddings.token_embedding.weight"),
        positions=named.array(f"{name}.embeddings.position_embedding.weight"),
        layers=named.layers(name, tower),
        causal=False,
        last_norm=named.norm(f"{name}.final_layer_norm", tower.layer_norm_eps),
        end_token=LAST,
        projection=named.linear(f"{name}.head"),
    )
