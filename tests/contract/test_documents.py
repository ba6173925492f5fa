"""JSON that strangers wrote is an object of plain values, or a sentence says what it is instead."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.documents import MAX_DEPTH, MAX_FILE_BYTES, object_of
from contract.problems import BadRequest


def test_what_json_holds_is_read() -> None:
    said = {"a": [1, -2.5, True, None, "ü\u2028"], "b": {"c": {}}}
    assert object_of("x.json", json.dumps(said).encode()) == said
    assert object_of("x.json", json.dumps(said, ensure_ascii=False).encode()) == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "x.json can't be read as JSON"),
        (b"", "x.json can't be read as JSON"),
        (b"\xef\xbb\xbf{}", "Unexpected UTF-8 BOM"),
        (b"[]", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b'{"a": [-Infinity]}', "-Infinity is no number of JSON"),
        (b'{"a": {"b": [1e400]}}', "a number is too large"),
        (b'{"a": 1, "a": 1}', "'a' is given twice"),
        (rb'{"\udc00": 1}', "surrogates not allowed"),
        (b'{"a": ' + b"9" * 5000 + b"}", "can't be read as JSON"),
        (b'{"a": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", f"{MAX_DEPTH} deep at most"),
        (b"{" + b" " * MAX_FILE_BYTES + b"}", "has more than the 8,388,608 bytes"),
    ],
)
def test_anything_else_is_a_sentence(content: bytes | None, said: str) -> None:
    with pytest.raises(BadRequest) as raised:
        object_of("x.json", content)
    assert said in raised.value.detail and len(raised.value.detail) < 400


@given(st.binary(max_size=200) | st.text('[]{}:,"\\ud8e1.-0aNI ').map(str.encode))
def test_no_bytes_end_otherwise(content: bytes) -> None:
    try:
        assert isinstance(object_of("x.json", content), dict)
    except BadRequest as problem:
        assert problem.detail.startswith("x.json ")
