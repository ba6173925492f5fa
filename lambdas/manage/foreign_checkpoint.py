"""A checkpoint that somebody brings along: is it one that the endpoint could load? Looked at without loading it.

Formats: https://huggingface.co/docs/safetensors (a file begins with the length of a JSON header and that header, which
names every tensor and where it lies), and transformers' index of shards.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from contract.models import CONFIG, METADATA, PROCESSOR, TOKENIZERS, WEIGHTS
from contract.problems import BadRequest
from lambdas.aws.s3 import MAX_FILE_BYTES
from lambdas.stored.registry import StoredCheckpoint, json_object_of

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")

TENSORS = (
    "logit_scale",
    "text_projection.weight",
    "visual_projection.weight",
    "text_model.embeddings.token_embedding.weight",
    "text_model.final_layer_norm.weight",
    "vision_model.embeddings.patch_embedding.weight",
    "vision_model.post_layernorm.weight",
)
"""Some of both towers, and what joins them; of the layers between, the last ones are looked for."""
DEFAULT_LAYERS = 12
"""Of either tower, where config.json does not say: transformers' default."""

_LENGTH_BYTES = 8


def read_metadata(checkpoint: StoredCheckpoint) -> dict[str, Any]:
    """Check the folder, and return its wordsight.json, or {} if it has none.

    Raises BadRequest that says what is missing or wrong.
    """
    sizes_bytes = checkpoint.sizes_bytes()
    _check_files(sizes_bytes, checkpoint.prefix)
    config = checkpoint.read_json(CONFIG)
    if config.get("model_type") != "clip":
        raise BadRequest(f"{CONFIG} says model_type {config.get('model_type')!r}, allowed is 'clip'")
    tensors: set[str] = set()
    for name in _weight_files(checkpoint, sizes_bytes):
        tensors |= _tensors(checkpoint, name, sizes_bytes[name])
    if missing := [name for name in _expected(config) if name not in tensors]:
        raise BadRequest(f"the weights lack {len(missing)} tensors of a CLIP model, such as {missing[0]}")
    return checkpoint.read_json(METADATA) if METADATA in sizes_bytes else {}


def _check_files(names: Collection[str], prefix: str) -> None:
    if pickles := [name for name in names if name.endswith(PICKLES)]:
        raise BadRequest(f"{pickles[0]} is a pickle, which runs code when it is loaded: leave safetensors files only")
    for kind, allowed in (
        ("a configuration", (CONFIG,)),
        ("weights", WEIGHTS),
        ("a tokenizer", TOKENIZERS),
        ("image sizes", (PROCESSOR,)),
    ):
        if not any(name in names for name in allowed):
            found = ", ".join(names) or "no file"
            raise BadRequest(f"{prefix} lacks {kind}: {' or '.join(allowed)} is needed, found {found}")


def _weight_files(checkpoint: StoredCheckpoint, names: Collection[str]) -> list[str]:
    whole, index = WEIGHTS
    if whole in names:
        return [whole]
    placed = checkpoint.read_json(index).get("weight_map")
    files = sorted(set(placed.values())) if isinstance(placed, dict) else []
    if absent := [name for name in files if name not in names]:
        raise BadRequest(f"{index} names {absent[0]}, which is not there")
    return files


def _tensors(checkpoint: StoredCheckpoint, name: str, size_bytes: int) -> set[str]:
    """What a weight file holds, if it is as long as its header says."""
    length = int.from_bytes(checkpoint.read(name, size_bytes=_LENGTH_BYTES) or b"", "little")
    if not 2 <= length <= min(MAX_FILE_BYTES, size_bytes):
        raise BadRequest(f"{name} is no safetensors file: it begins with a length of {length} bytes")
    header = json_object_of(name, checkpoint.read(name, first=_LENGTH_BYTES, size_bytes=length))
    tensors = {tensor: about for tensor, about in header.items() if tensor != "__metadata__"}
    try:
        end = max(int(about["data_offsets"][1]) for about in tensors.values())
    except (KeyError, TypeError, ValueError, IndexError):
        raise BadRequest(f"{name} is no safetensors file: its header does not say where the tensors lie") from None
    if size_bytes != _LENGTH_BYTES + length + end:
        raise BadRequest(
            f"{name} has {size_bytes:,} bytes and should have {_LENGTH_BYTES + length + end:,}: send it again"
        )
    return set(tensors)


def _expected(config: Mapping[str, Any]) -> Iterator[str]:
    yield from TENSORS
    for tower in ("text", "vision"):
        layers = (config.get(f"{tower}_config") or {}).get("num_hidden_layers", DEFAULT_LAYERS)
        if not isinstance(layers, int):
            raise BadRequest(f"{CONFIG} says num_hidden_layers {layers!r} of {tower}_config, allowed is a whole number")
        yield f"{tower}_model.encoder.layers.{layers - 1}.layer_norm2.weight"
