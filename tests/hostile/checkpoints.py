"""Checkpoint folders that POST /models has to refuse: the tiny CLIP's with one fault each.

Formats: https://huggingface.co/docs/safetensors, and transformers' config.json, tokenizer.json and
preprocessor_config.json.
"""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from contract.models import CONFIG, METADATA, PROCESSOR

Folder = dict[str, bytes]
"""Files by their names."""
Break = Callable[[Folder], None]
"""Changes a good folder into one that is not."""

TENSORS, TOKENIZER = "model.safetensors", "tokenizer.json"
LENGTH_BYTES = 8


def replaced(name: str, content: bytes | str) -> Break:
    """Another file in place of one."""

    def change(folder: Folder) -> None:
        folder[name] = content if isinstance(content, bytes) else content.encode()

    return change


def without(*names: str) -> Break:
    """Some files less."""

    def change(folder: Folder) -> None:
        for name in names:
            folder.pop(name, None)

    return change


def edited(name: str, *path: str, value: Any) -> Break:
    """Another value in a JSON file; its strings may hold what JSON has no word for."""

    def change(folder: Folder) -> None:
        whole = json.loads(folder[name])
        part = whole
        for step in path[:-1]:
            part = part.setdefault(step, {})
        part[path[-1]] = value
        folder[name] = json.dumps(whole).encode()

    return change


def header(change_header: Callable[[dict[str, Any]], None]) -> Break:
    """Another header of the weights, with its right length."""

    def change(folder: Folder) -> None:
        found, data = parts(folder[TENSORS])
        change_header(found)
        folder[TENSORS] = joined(found, data)

    return change


def weight(tensor: str, change_values: Callable[[Any], None]) -> Break:
    """Other values of one tensor of float32."""

    def change(folder: Folder) -> None:
        found, data = parts(folder[TENSORS])
        begin, end = found[tensor]["data_offsets"]
        assert found[tensor]["dtype"] == "F32"
        values = np.frombuffer(data[begin:end], "<f4").copy()
        change_values(values)
        folder[TENSORS] = joined(found, data[:begin] + values.tobytes() + data[end:])

    return change


def parts(tensors: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and data of a safetensors file."""
    length = int.from_bytes(tensors[:LENGTH_BYTES], "little")
    return json.loads(tensors[LENGTH_BYTES : LENGTH_BYTES + length]), tensors[LENGTH_BYTES + length :]


def joined(found: Mapping[str, Any], data: bytes) -> bytes:
    text = json.dumps(found).encode()
    return struct.pack("<Q", len(text)) + text + data


def first(value: float) -> Callable[[Any], None]:
    """Sets the first number."""

    def change(values: Any) -> None:
        values[0] = value

    return change


def of_tensor(name: str, **members: Any) -> Callable[[dict[str, Any]], None]:
    """Changes what the header says of a tensor."""
    return lambda found: found[name].update(members)


PROJECTION = "visual_projection.weight"
DEEP = "[" * 100_000


def texts() -> Iterator[tuple[str, Break]]:
    """Every JSON file as something else."""
    for name in (CONFIG, PROCESSOR, TOKENIZER, METADATA):
        yield f"{name} is empty", replaced(name, b"")
        yield f"{name} is no JSON", replaced(name, b"{")
        yield f"{name} is a list", replaced(name, b"[]")
        yield f"{name} is nested without end", replaced(name, DEEP)
        yield f"{name} is nested deeply, and closed", replaced(name, '{"a":' + "[" * 3000 + "]" * 3000 + "}")
        yield f"{name} is no UTF-8", replaced(name, b'{"a": "\xff\xfe"}')
        yield f"{name} is null", replaced(name, b"null")
    for name in (CONFIG, PROCESSOR, TOKENIZER, TENSORS):
        yield f"{name} is not there", without(name, "vocab.json", "merges.txt") if name == TOKENIZER else without(name)


def configurations() -> Iterator[tuple[str, Break]]:
    """What config.json says wrongly."""
    for kind in ("bert", None, 5, ["clip"], "clip\ud800"):
        yield f"model_type {kind!r}", edited(CONFIG, "model_type", value=kind)
    for value in (0, -1, 10**30, 1e999, float("nan"), "two", None, [2], True):
        yield f"num_hidden_layers {value!r}", edited(CONFIG, "vision_config", "num_hidden_layers", value=value)
    for tower in ("text_config", "vision_config"):
        for value in ("clip", [], 5):
            yield f"{tower} {value!r}", edited(CONFIG, tower, value=value)
        for value in (31, 0, -32, "32", 10**9):
            yield f"hidden_size {value!r} of {tower}", edited(CONFIG, tower, "hidden_size", value=value)
        yield f"num_attention_heads 0 of {tower}", edited(CONFIG, tower, "num_attention_heads", value=0)
        yield f"num_attention_heads 3 of {tower}", edited(CONFIG, tower, "num_attention_heads", value=3)
    for value in (17, 0, "wide"):
        yield f"projection_dim {value!r}", edited(CONFIG, "projection_dim", value=value)
    yield "image_size 1e999", edited(CONFIG, "vision_config", "image_size", value=float("inf"))
    yield "patch_size 0", edited(CONFIG, "vision_config", "patch_size", value=0)
    yield "patch_size of others", edited(CONFIG, "vision_config", "patch_size", value=16)
    yield "vocab_size of others", edited(CONFIG, "text_config", "vocab_size", value=7)
    yield "max_position_embeddings of others", edited(CONFIG, "text_config", "max_position_embeddings", value=9)
    yield "an activation that is none", edited(CONFIG, "vision_config", "hidden_act", value="__import__('os')")


def processors() -> Iterator[tuple[str, Break]]:
    """What preprocessor_config.json says wrongly."""
    for value in ([0, 0, 0], [1e-300, 1, 1], [1, 1], "grey", [float("nan")] * 3, [1e999] * 3, [-1, -1, -1]):
        yield f"image_std {value!r}", edited(PROCESSOR, "image_std", value=value)
    for value in ([float("nan"), 0, 0], [1e999, 0, 0], ["a", 0, 0]):
        yield f"image_mean {value!r}", edited(PROCESSOR, "image_mean", value=value)
    for value in (
        0,
        -1,
        {"height": 0, "width": 32},
        {"height": 10**9, "width": 10**9},
        "large",
        {"height": 64, "width": 64},
    ):
        yield f"crop_size {value!r}", edited(PROCESSOR, "crop_size", value=value)
    for value in ({"shortest_edge": 0}, {"shortest_edge": 10**9}, {"shortest_edge": "a"}):
        yield f"size {value!r}", edited(PROCESSOR, "size", value=value)
    for value in (float("nan"), 1e999, "a"):
        yield f"rescale_factor {value!r}", edited(PROCESSOR, "rescale_factor", value=value)


def tokenizers() -> Iterator[tuple[str, Break]]:
    """What tokenizer.json says wrongly."""
    yield "a tokenizer without a model", replaced(TOKENIZER, b"{}")
    yield "a tokenizer without words", edited(TOKENIZER, "model", "vocab", value={})
    yield "a tokenizer whose ids are words", edited(TOKENIZER, "model", "vocab", value={"a": "b"})
    yield "a tokenizer whose ids are too high", edited(TOKENIZER, "model", "vocab", value={"a</w>": 10**9})


def metadata() -> Iterator[tuple[str, Break]]:
    """What wordsight.json says wrongly."""
    for value in ("a\r\nx-evil: 1", "a" * 1000, "", " ", 5, None, "a\ud800", "v\0"):
        yield f"version {str(value)[:20]!r}", edited(METADATA, "version", value=value)
    for value in (1e-300, 0, -1, float("nan"), 1e999, "warm"):
        yield (
            f"temperature {value!r}",
            edited(METADATA, "calibration", value={"temperature": value, "multi_label": None}),
        )
    for a, b in ((float("nan"), 0), (0, 1e999), ("a", 0)):
        calibration = {"temperature": 1.0, "multi_label": {"a": a, "b": b}}
        yield f"multi_label {a!r}, {b!r}", edited(METADATA, "calibration", value=calibration)
    yield "a calibration that is a list", edited(METADATA, "calibration", value=[1])


def weights() -> Iterator[tuple[str, Break]]:
    """What model.safetensors says wrongly."""
    yield "weights of nothing", replaced(TENSORS, b"")
    yield "weights of seven bytes", replaced(TENSORS, b"\1\0\0\0\0\0\0")
    yield "a pickle for weights", replaced(TENSORS, b"\x80\x04\x95" + bytes(100))
    for length in (0, 1, 2**63, 2**64 - 1, 10**9):
        yield (
            f"a header of {length} bytes",
            lambda folder, n=length: folder.update({TENSORS: struct.pack("<Q", n) + folder[TENSORS][LENGTH_BYTES:]}),
        )
    yield "a header that is a list", replaced(TENSORS, struct.pack("<Q", 2) + b"[]")
    yield "a header that is nested without end", replaced(TENSORS, struct.pack("<Q", len(DEEP)) + DEEP.encode())
    yield "weights that are cut off", lambda folder: folder.update({TENSORS: folder[TENSORS][:-1]})
    yield "weights with more behind them", lambda folder: folder.update({TENSORS: folder[TENSORS] + b"\0"})
    yield "a tensor less", header(lambda found: found.pop(PROJECTION))
    for name, members in (
        ("another shape", {"shape": [1, 1]}), ("a negative shape", {"shape": [-16, -32]}),
        ("a shape of words", {"shape": "wide"}),
        ("a shape without end", {"shape": [10**18, 10**18]}), ("no shape", {"shape": None}),
        ("another kind", {"dtype": "I64"}),
        ("an unknown kind", {"dtype": "F7"}), ("offsets of words", {"data_offsets": ["a", "b"]}),
        ("one offset", {"data_offsets": [0]}),
        ("offsets turned round", {"data_offsets": [8, 0]}), ("negative offsets", {"data_offsets": [-8, 8]}),
        ("offsets of others", {"data_offsets": [0, 2048]}), ("offsets 1e999", {"data_offsets": [0, 1e999]}),
        ("offsets NaN", {"data_offsets": [float("nan"), 4]}),
    ):  # fmt: skip
        yield f"a tensor with {name}", header(of_tensor(PROJECTION, **members))
    yield "a tensor that is a list", header(lambda found: found.update({PROJECTION: [1]}))
    yield "a tensor that is null", header(lambda found: found.update({PROJECTION: None}))
    for name, value in (("NaN", np.nan), ("infinite", np.inf), ("-infinite", -np.inf)):
        yield f"a weight that is {name}", weight(PROJECTION, first(value))
        yield f"a logit_scale that is {name}", weight("logit_scale", first(value))
    yield "a logit_scale of 1,000", weight("logit_scale", first(1000))
    index = "model.safetensors.index.json"
    for name, content in (
        ("nothing", b"{}"), ("a list", b'{"weight_map": []}'), ("numbers", b'{"weight_map": {"a": 1}}'),
        ("lists", b'{"weight_map": {"a": ["b"]}}'),
        ("files that are not there", b'{"weight_map": {"a": "b.safetensors"}}'),
        ("a way out", b'{"weight_map": {"a": "../../registry/base.json"}}'),
        ("itself", b'{"weight_map": {"a": "model.safetensors.index.json"}}'), ("no JSON", b"{"),
    ):  # fmt: skip
        yield f"an index of {name}", lambda folder, c=content: (without(TENSORS)(folder), folder.update({index: c}))[1]


FAMILIES = (texts, configurations, processors, tokenizers, metadata, weights)
CHECKPOINTS: Mapping[str, Break] = {name: change for family in FAMILIES for name, change in family()}
