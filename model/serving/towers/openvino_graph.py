"""The towers as OpenVINO's graphs, written down node by node from their weights.

To trace torch's modules says the same and takes seconds, of which most are for importing what traces; here nothing is
run, and the weights stay where they lie until OpenVINO has packed its own copy.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from model.clip.preparation import Normalization
from model.clip.tower_weights import (
    HIGHEST,
    LAST,
    Attention,
    FeedForward,
    ImageTower,
    Layer,
    Linear,
    Norm,
    Pooling,
    TextTower,
)
from model.serving.towers.openvino_without_telemetry import openvino

ops: Any = openvino.opset13
Node: TypeAlias = Any
"""OpenVINO's, whose operations have no types."""

HIDDEN = -1e9
"""Added to what attention does not see: finite, so that a place which sees nothing is a number."""

ACTIVATIONS: dict[str, Callable[[Node], Node]] = {
    "quick_gelu": lambda x: ops.swish(x, _constant(np.float32(1.702))),
    "gelu": lambda x: ops.gelu(x, "ERF"),
    "gelu_new": lambda x: ops.gelu(x, "TANH"),
    "gelu_fast": lambda x: ops.gelu(x, "TANH"),
    "gelu_pytorch_tanh": lambda x: ops.gelu(x, "TANH"),
    "gelu_10": lambda x: ops.clamp(ops.gelu(x, "ERF"), -10.0, 10.0),
    "relu": ops.relu,
    "silu": ops.swish,
    "swish": ops.swish,
}
"""By their names in transformers."""


def image_graph(tower: ImageTower, normalization: Normalization, shape: Sequence[int]) -> openvino.Model:
    """From preprocessed images, uint8 [B, 3, height, width] for any B of the `shape`, to unit vectors [B, E], fp32."""
    size = (shape[2], shape[3])
    pixels = ops.parameter([-1, 3, *size], np.uint8, "pixels")
    scale, shift = (_constant(each.numpy()) for each in (normalization.scale, normalization.shift))
    x = _patches(tower, ops.add(ops.multiply(ops.convert(pixels, "f32"), scale), shift), size)  # [B, P, D]
    if tower.class_place is not None:
        batch = ops.gather(ops.shape_of(pixels), _int(0), _int(0))
        place = ops.broadcast(_constant(tower.class_place.reshape(1, 1, -1)), _shape(batch, 1, len(tower.class_place)))
        x = ops.concat([place, x], 1)
    x = ops.add(x, _constant(tower.positions))
    if tower.first_norm is not None:
        x = _normed(tower.first_norm, x)
    for layer in tower.layers:
        x = _layer(layer, x, None)
    if tower.pooling is not None:
        x = _pooled(tower.pooling, _normed(tower.last_norm, x))
    else:
        x = _normed(tower.last_norm, ops.gather(x, _int(0), _int(1)))
    return _model(_unit(x if tower.projection is None else _linear(tower.projection, x)), [pixels])


def text_graph(tower: TextTower, masked: bool) -> openvino.Model:
    """From token ids [T, N] to unit vectors [T, E]; if `masked` also from a mask [T, N], 0 where nothing is seen."""
    ids = ops.parameter([-1, -1], np.int64, "ids")
    mask = ops.parameter([-1, -1], np.int64, "mask") if masked else None
    places = ops.gather(ops.shape_of(ids), _int(1), _int(0))
    numbers = ops.range(_int(0), places, _int(1), "i64")
    positions = ops.gather(_constant(tower.positions), numbers, _int(0))
    x = ops.add(ops.gather(_constant(tower.tokens), ids, _int(0)), positions)  # [T, N, D]
    hidden = None
    if tower.causal:
        behind = ops.greater(ops.unsqueeze(numbers, _int(0)), ops.unsqueeze(numbers, _int(1)))
        hidden = ops.unsqueeze(_hiding(behind), _constant(np.array([0, 1])))  # [1, 1, N, N]
    if mask is not None:
        padding = ops.unsqueeze(_hiding(ops.equal(mask, _int(0))), _constant(np.array([1, 2])))  # [T, 1, 1, N]
        hidden = padding if hidden is None else ops.minimum(hidden, padding)
    for layer in tower.layers:
        x = _layer(layer, x, hidden)
    x = ops.gather(x, _end(tower, ids, numbers, places), _int(1), 1)  # [T, D]
    return _model(_unit(_linear(tower.projection, _normed(tower.last_norm, x))), [ids, *([mask] if mask else [])])


def _patches(tower: ImageTower, pixels: Node, size: tuple[int, int]) -> Node:
    """[B, 3, height, width] to [B, P, D]. Patches do not overlap, so the convolution is a matrix product, for which
    OpenVINO takes half the time; what is left over at the edges is cut off.
    """
    side = tower.side
    rows, columns = size[0] // side, size[1] // side
    if (rows * side, columns * side) != size:
        ends = np.array([rows * side, columns * side])
        pixels = ops.slice(pixels, np.array([0, 0]), ends, np.array([1, 1]), np.array([2, 3]))
    cut = ops.reshape(pixels, np.array([0, 3, rows, side, columns, side]), True)
    ordered = ops.transpose(cut, np.array([0, 2, 4, 1, 3, 5]))
    return _linear(tower.patches, ops.reshape(ordered, np.array([0, rows * columns, 3 * side * side]), True))


def _layer(layer: Layer, x: Node, hidden: Node | None) -> Node:
    inputs = _normed(layer.attention_norm, x)
    x = ops.add(x, _attended(layer.attention, inputs, inputs, hidden))
    return ops.add(x, _fed(layer.feed_forward, _normed(layer.feed_forward_norm, x)))


def _attended(attention: Attention, asking: Node, asked: Node, hidden: Node | None) -> Node:
    """[B, N, D] and [B, M, D] to [B, N, D]; `hidden` [1 or B, 1, 1 or N, M] is added before the softmax."""
    heads, width = attention.heads, len(attention.query.weight)

    def split(linear: Linear, x: Node) -> Node:
        apart = ops.reshape(_linear(linear, x), np.array([0, 0, heads, width // heads]), True)
        return ops.transpose(apart, np.array([0, 2, 1, 3]))  # [B, heads, N, width / heads]

    query, key, value = split(attention.query, asking), split(attention.key, asked), split(attention.value, asked)
    seen = ops.scaled_dot_product_attention(query, key, value, hidden, causal=False)
    together = ops.reshape(ops.transpose(seen, np.array([0, 2, 1, 3])), np.array([0, 0, width]), True)
    return _linear(attention.out, together)


def _pooled(pooling: Pooling, x: Node) -> Node:
    """[B, P, D] to [B, D]"""
    batch = ops.gather(ops.shape_of(x), _int(0), _int(0))
    probe = ops.broadcast(_constant(pooling.probe), _shape(batch, 1, pooling.probe.shape[-1]))
    seen = ops.squeeze(_attended(pooling.attention, probe, x, None), _int(1))
    return ops.add(seen, _fed(pooling.feed_forward, _normed(pooling.norm, seen)))


def _fed(part: FeedForward, x: Node) -> Node:
    return _linear(part.down, ACTIVATIONS[part.activation](_linear(part.up, x)))


def _linear(linear: Linear, x: Node) -> Node:
    product = ops.matmul(x, _constant(linear.weight), False, True)
    return product if linear.bias is None else ops.add(product, _constant(linear.bias))


def _normed(norm: Norm, x: Node) -> Node:
    centred = ops.mvn(x, _constant(np.array([-1])), True, norm.epsilon, "inside_sqrt")
    return ops.add(ops.multiply(centred, _constant(norm.weight)), _constant(norm.bias))


def _unit(x: Node) -> Node:
    """As torch's normalize, which divides by no less than 1e-12."""
    return ops.normalize_l2(x, _constant(np.array([1])), 1e-24, "max")


def _hiding(unseen: Node) -> Node:
    return ops.select(unseen, _constant(np.float32(HIDDEN)), _constant(np.float32(0)))


def _end(tower: TextTower, ids: Node, numbers: Node, places: Node) -> Node:
    """At which place each text is read [T]: the first that holds what is looked for, or place 0 if none does."""
    if tower.end_token == LAST:
        texts = ops.gather(ops.shape_of(ids), _constant(np.array([0])), _int(0))
        return ops.broadcast(ops.subtract(places, _int(1)), texts)
    wanted = ops.reduce_max(ids, _int(1), True) if tower.end_token == HIGHEST else _int(tower.end_token)
    return ops.mod(ops.reduce_min(ops.select(ops.equal(ids, wanted), numbers, places), _int(1)), places)


def _model(result: Node, parameters: list[Node]) -> openvino.Model:
    return openvino.Model([ops.result(result)], parameters)


def _shape(batch: Node, *rest: int) -> Node:
    return ops.concat([ops.unsqueeze(batch, _int(0)), _constant(np.array(rest))], 0)


def _int(value: int) -> Node:
    return _constant(np.int64(value))


def _constant(value: NDArray[np.generic] | np.generic) -> Node:
    # shared: of what lies in a mapped file no copy is made before OpenVINO packs its own
    return openvino.op.Constant(np.asarray(value), shared_memory=np.ndim(value) > 1)
