import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.limits import MAX_JSON_ITEMS
from contract.problems import BadRequest, UnsupportedMediaType
from contract.requests import ClassifyBody, parse_request
from contract.uploads import UploadsBody
from contract.validation import (
    JSON,
    AtMost,
    Strict,
    check_readable,
    json_object,
    json_object_of,
    media_type_of,
    parse_json,
    validate,
    written_as_json,
)
from tests.contract.encodings import TEXTS


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff", b"[" * 200_000])
def test_a_body_that_is_no_json_object(body: bytes) -> None:
    with pytest.raises(BadRequest, match="the body"):
        parse_request(JSON, body)


def test_a_route_of_json_alone_says_which_header_is_missing() -> None:
    with pytest.raises(UnsupportedMediaType, match="no content-type, allowed is application/json: add -H"):
        parse_json(UploadsBody, None, b"{}")
    assert parse_json(UploadsBody, "Application/JSON; charset=utf-8", b'{"count": 2}').count == 2


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"count": "many"}, 'count: input should be a valid integer.*, got "many"'),
        ({"number": 1}, "number: is not a known field"),
        ({"content_type": "text/html"}, "content_type: content_type is an image's.*got 'text/html'"),
        (5, "input should be a valid dictionary.*, got 5"),
        ({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, "c: is not a known field; and 2 more"),
    ],
)
def test_each_of_the_first_faults_has_a_sentence(data: object, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        validate(UploadsBody, data)


def test_a_missing_field_is_named_where_it_is_missing() -> None:
    with pytest.raises(BadRequest, match=r"^parameters: is missing$"):
        validate(ClassifyBody, {"inputs": "aGk="})


def test_a_media_type_is_told_without_its_parameters() -> None:
    assert media_type_of("Image/JPEG; q=1") == "image/jpeg" and media_type_of(None) == ""


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=3), st.booleans())
def test_json_is_read_as_it_was_written(value: dict[str, Any], escaped: bool) -> None:
    body = json.dumps(value, ensure_ascii=escaped).encode()
    assert json_object(body) == json_object(b"\xef\xbb\xbf" + body) == json_object_of(body.decode(), "it") == value


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"a": "café"}'.encode("latin-1"), "the body is not UTF-8 text"),
        ('{"a": 1}'.encode("utf-16"), "the body is not UTF-8 text"),
        (b'{"a": "\xed\xa0\x80"}', "the body is not UTF-8 text"),
        ('{"a": "caf\ufffd"}'.encode(), "U\\+FFFD, which stands for bytes that are not UTF-8: send UTF-8 text"),
        (b'{"a": ["caf\\ufffd"]}', "U\\+FFFD"),
        (b'{"\\ud800": 1}', "half a character"),
        (b'[{"a": {"b": ["\\udc00"]}}]', "half a character"),
        (b'{"a": "\\u0000"}', "a NUL"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' is given twice in one object"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"a": -1e999}', "the number -1e999 is too large"),
        (b'{"a": ' + b"[" * 32 + b"]" * 32 + b"}", "objects and lists lie in each other, 32 deep at most"),
        (b'{"a": ' + b"[" * 200_000, "lie in each other"),
        (b'{"a": [' + b"[]," * MAX_JSON_ITEMS + b"1]}", "more than 250,000 values"),
        (b'{"' + b"k" * 4_000_000 + b'": 1, "' + b"k" * 4_000_000 + b'": 1}', "k…' is given twice"),
    ],
    ids=range(17),
)
def test_what_is_not_quite_json_in_utf_8_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence) as caught:
        json_object(body)
    assert len(caught.value.detail) < 400


def test_a_backslash_before_a_u_is_no_escape_and_a_whole_character_is_text() -> None:
    assert json_object(rb'{"a": "\\ud800", "b": "\ud83d\udc1f"}') == {"a": r"\ud800", "b": "\N{FISH}"}


class Box(Strict):
    items: Annotated[list[int], AtMost(3)] = []  # noqa: RUF012
    named: Annotated[dict[str, int], AtMost(3)] = {}  # noqa: RUF012
    number: float = 0.0


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"items": ["x"] * 4}, "^items: 4 are given, at most 3 are allowed$"),
        ({"named": dict.fromkeys("abcd", "x")}, "^named: 4 are given, at most 3 are allowed$"),
        ({"items": ["x", "y"]}, '^items.0: input should be a valid integer[^;]*, got "x"$'),
        ({"named": {"a": "x", "b": "y"}}, '^named.a: input should be a valid integer[^;]*, got "x"$'),
        ({"named": {"k" * 5_000_000: "x"}}, "^named.k{59}…: input should be"),
        ({str(n): n for n in range(300)}, "^300 fields, allowed are items, named, number$"),
        ({"number": float("nan")}, "finite number"),
        ({"number": 1e999}, "finite number"),
        ({"number": 10**400}, "valid number"),
    ],
    ids=range(9),
)
def test_what_is_too_much_is_counted_and_not_looked_at(data: object, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        validate(Box, data)


def test_the_schema_says_how_many_items_there_may_be() -> None:
    (items, null), (named, _) = (Box.model_json_schema()["properties"][name]["anyOf"] for name in ("items", "named"))
    assert items["maxItems"] == named["maxProperties"] == 3
    assert null == {"type": "null"}


class Pair(Strict):
    must: Any
    may: int | None = None


def test_null_is_nothing_where_a_field_may_be_left_out_and_a_value_elsewhere() -> None:
    assert validate(Pair, {"must": None, "may": None}).model_fields_set == {"must"}
    with pytest.raises(BadRequest, match="other: is not a known field"):
        validate(Pair, {"must": 1, "other": None})
    assert "anyOf" not in Pair.model_json_schema()["properties"]["must"]
    assert Pair.model_json_schema()["properties"]["may"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]


def test_what_is_a_list_may_come_as_its_json() -> None:
    read = written_as_json("[")
    assert read(' ["a, b"]') == ["a, b"] and read("a [b]") == "a [b]" and read(["[b]"]) == ["[b]"]
    with pytest.raises(ValueError, match="is not valid JSON"):
        read("[b")


@pytest.mark.parametrize("fields", [{"a": ["ok", "caf\ufffd"]}, {"caf\ufffd": []}, {"a": ["\0"]}, {"a": ["\ud800"]}])
def test_a_field_with_a_lost_character_is_refused(fields: dict[str, list[str]]) -> None:
    check_readable({"é": ["\N{FISH}", "\n"]})
    with pytest.raises(BadRequest, match="send UTF-8 text"):
        check_readable(fields)
