"""Weight files: what a safetensors file says it holds, and whether what it holds are numbers. Without torch.

The format: https://huggingface.co/docs/safetensors (a file begins with the length of a JSON header and that header,
which names every tensor with its type, shape and place; behind it the tensors lie without gaps).
"""

import json
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, NamedTuple

from pydantic import Field

from contract.documents import MAX_FILE_BYTES, object_of
from contract.problems import BadRequest, shorten
from contract.validation import Stored, validate

FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Bytes of the types that weights may have."""
_BYTES = {**FLOATS, "BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8}
"""The same of what may lie beside them, such as the positions in older files."""
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_LENGTH_BYTES = 8
_FORMATS = {"F64": "<d", "F32": "<f", "F16": "<e"}
_TOP_BYTES = {
    "F64": bytes((0x7F, 0xFF)),
    "F32": bytes((0x7F, 0xFF)),
    "BF16": bytes((0x7F, 0xFF)),
    "F16": bytes((0x7C, 0x7D, 0x7E, 0x7F, 0xFC, 0xFD, 0xFE, 0xFF)),
}
"""What a number's last byte is (they are little-endian) if it is infinite, none, or in the wider types beyond 10^38,
which no weight is. Looked for with bytes.translate, which needs no array: 1 GB takes about a second.
"""

_Whole = Annotated[int, Field(strict=True, ge=0, le=2**48)]


class _Tensor(Stored):
    dtype: str = Field(max_length=16)
    shape: list[_Whole] = Field(max_length=8)
    data_offsets: tuple[_Whole, _Whole]


class _Index(Stored):
    weight_map: dict[str, str] = Field(min_length=1)


class Tensor(NamedTuple):
    """Where a tensor lies: in the bytes `first` up to, not including, `end` of a file."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    first: int
    end: int


Read = Callable[[str, int, int], bytes]
"""From a file's name, a first byte and a number of bytes to what lies there."""


def tensors_of(files: Mapping[str, int], whole: str, index: str, read: Read) -> dict[str, Tensor]:
    """The tensors in `whole`, or in the files that `index` names. `files`: their sizes in bytes. Raises BadRequest."""
    if whole in files:
        return _tensors_in(whole, files[whole], read)
    placed = validate(_Index, object_of(index, read(index, 0, MAX_FILE_BYTES + 1))).weight_map
    found: dict[str, Tensor] = {}
    for name in dict.fromkeys(placed.values()):
        if name not in files:
            raise BadRequest(f"{index} names {shorten(name)}, which is not there")
        held = _tensors_in(name, files[name], read)
        if twice := found.keys() & held.keys():
            raise BadRequest(f"{name} holds {shorten(min(twice))}, which another file holds as well")
        found |= held
    for tensor, name in placed.items():
        if tensor not in found or found[tensor].file != name:
            raise BadRequest(f"{index} says that {shorten(tensor)} is in {name}, which does not hold it")
    return found


def _tensors_in(name: str, size_bytes: int, read: Read) -> dict[str, Tensor]:
    """What a weight file holds, if that fills it."""
    return read_tensors(name, size_bytes, read)[0]


def read_tensors(name: str, size_bytes: int, read: Read) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What a file of so many bytes holds, if that fills it, and the metadata in its header. Raises BadRequest."""
    length = int.from_bytes(read(name, 0, _LENGTH_BYTES), "little")
    if not 2 <= length <= min(MAX_FILE_BYTES, size_bytes - _LENGTH_BYTES):
        raise BadRequest(f"{name} is no safetensors file: it begins with a length of {length} bytes")
    header = object_of(name, read(name, _LENGTH_BYTES, length))
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise BadRequest(f"{name} has a __metadata__ that is no object of texts")
    first = _LENGTH_BYTES + length
    tensors = {tensor: _tensor(name, tensor, about, first) for tensor, about in header.items()}
    in_order = sorted(tensors.values(), key=lambda tensor: (tensor.first, tensor.end))
    if any(one.end != other.first for one, other in pairwise(in_order)) or (in_order and in_order[0].first != first):
        raise BadRequest(f"{name} is no safetensors file: its tensors overlap, or there are gaps between them")
    end = in_order[-1].end if in_order else first
    if size_bytes != end:
        raise BadRequest(f"{name} has {size_bytes:,} bytes and should have {end:,}: send it again")
    return tensors, metadata


def write_tensors(tensors: Mapping[str, tuple[Sequence[int], bytes]], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file of fp32 tensors by name, each with its shape and its little-endian numbers, in this order.

    The same gives the same bytes, which the library's own writer does not promise of metadata.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, (shape, content) in tensors.items():
        header[name] = {"dtype": "F32", "shape": [*shape], "data_offsets": [end, end := end + len(content)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)  # the numbers are to lie aligned
    return b"".join([len(text).to_bytes(_LENGTH_BYTES, "little"), text, *(content for _, content in tensors.values())])


def _tensor(file: str, name: str, about: object, first: int) -> Tensor:
    try:
        said = validate(_Tensor, about)
    except BadRequest as problem:
        raise BadRequest(f"{file} is no safetensors file: of {shorten(name)} it says {problem.detail}") from None
    if said.dtype not in _BYTES:
        raise BadRequest(f"{file} holds {shorten(name)} as {said.dtype!r}, allowed are {', '.join(FLOATS)}")
    begin, end = said.data_offsets
    wanted = math.prod(said.shape) * _BYTES[said.dtype]
    if end - begin != wanted:
        raise BadRequest(
            f"{file} gives {shorten(name)} {end - begin:,} bytes, and the shape {said.shape} in {said.dtype} takes "
            f"{wanted:,}"
        )
    return Tensor(file, said.dtype, tuple(said.shape), first + begin, first + end)


def about_pickles(files: Iterable[str]) -> str:
    """What a sentence about weights that are missing ends with, if some of the files could run code."""
    found = [name for name in sorted(files) if name.endswith(_PICKLES)]
    if not found:
        return ""
    return (
        f". {shorten(found[0])} is a pickle, which can run code, and is never loaded: "
        "`python -m model.clip.fetch FOLDER NEW-FOLDER` makes safetensors of it"
    )


def are_finite(dtype: str, content: bytes) -> bool:
    """Whether all of a tensor's numbers are finite, and below 10^38. `dtype` is one of FLOATS."""
    top = content[FLOATS[dtype] - 1 :: FLOATS[dtype]]
    return len(top.translate(None, _TOP_BYTES[dtype])) == len(top)


def number_of(dtype: str, content: bytes) -> float:
    """The one number of a tensor. `dtype` is one of FLOATS."""
    if dtype == "BF16":
        dtype, content = "F32", b"\0\0" + content
    number: float = struct.unpack(_FORMATS[dtype], content)[0]
    return number
