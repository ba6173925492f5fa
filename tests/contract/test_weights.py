"""A safetensors file's header, and numbers that are none, found without torch."""

import json
import math
import struct
from typing import Any

import pytest

from contract.problems import BadRequest
from contract.weights import FLOATS, are_finite, number_of, read_tensors, tensors_of, write_tensors

FORMS = {"F64": "<d", "F32": "<f", "F16": "<e"}


def packed(dtype: str, value: float) -> bytes:
    """As the type has it; of bfloat16 the upper half of an fp32."""
    return struct.pack("<f", value)[2:] if dtype == "BF16" else struct.pack(FORMS[dtype], value)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_found_among_others_wherever_it_is(dtype: str, value: float) -> None:
    others = b"".join(packed(dtype, each) for each in (0.0, -0.0, 1.0, -1.5, 6e-8, 60_000.0, -60_000.0))
    assert are_finite(dtype, others) and are_finite(dtype, b"")
    for place in range(0, len(others) + 1, FLOATS[dtype]):
        assert not are_finite(dtype, others[:place] + packed(dtype, value) + others[place:])


def test_every_half_is_judged_as_ieee_754_has_it() -> None:
    for bits in range(0x10000):
        half = struct.pack("<H", bits)
        assert are_finite("F16", half) == math.isfinite(struct.unpack("<e", half)[0])


def test_what_no_weight_is_counts_as_none() -> None:
    assert are_finite("F32", packed("F32", 1e37)) and not are_finite("F32", packed("F32", 3e38))
    assert are_finite("F64", packed("F64", 1e300))


@pytest.mark.parametrize("dtype", FLOATS)
def test_one_number_is_read_in_every_type(dtype: str) -> None:
    assert number_of(dtype, packed(dtype, 4.625)) == 4.625


def written(header: dict[str, Any], data: bytes) -> bytes:
    content = json.dumps(header).encode()
    return len(content).to_bytes(8, "little") + content + data


def test_tensors_are_where_the_header_says() -> None:
    about = {
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [2, 10]},
        "a": {"dtype": "F16", "shape": [], "data_offsets": [0, 2]},
        "none": {"dtype": "F16", "shape": [0], "data_offsets": [10, 10]},
    }
    content = written(about, packed("F16", 1.5) + packed("F32", 2.5) + packed("F32", 3.5))
    files = {"one": content}
    found = tensors_of({"one": len(content)}, "one", "index", lambda n, first, size: files[n][first : first + size])
    assert number_of("F16", content[found["a"].first : found["a"].end]) == 1.5
    assert content[found["b"].first : found["b"].end] == packed("F32", 2.5) + packed("F32", 3.5)
    assert (found["b"].shape, found["none"].first, found["none"].end) == ((2,), len(content), len(content))
    with pytest.raises(BadRequest, match=r"one has .* bytes and should have"):
        tensors_of({"one": len(content) + 1}, "one", "index", lambda n, first, size: files[n][first : first + size])


def test_what_is_written_is_read_with_its_metadata_and_is_the_same_every_time() -> None:
    numbers = {"w": ([2, 1], packed("F32", 1.5) + packed("F32", 2.5)), "b": ([], packed("F32", 3.5))}
    content = write_tensors(numbers, {"of": "é", "and": "more"})
    found, metadata = read_tensors("it", len(content), lambda n, first, size: content[first : first + size])
    assert metadata == {"of": "é", "and": "more"} and [*found] == ["w", "b"]
    assert [each.shape for each in found.values()] == [(2, 1), ()]
    assert [content[each.first : each.end] for each in found.values()] == [each for _, each in numbers.values()]
    assert found["w"].first % 8 == 0 and content == write_tensors(numbers, {"of": "é", "and": "more"})
