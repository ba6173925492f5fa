import json
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.forms import write_form
from contract.idempotency import ID, IDEMPOTENCY_PREFIX, now, remembered_key, request_digest
from tests.contract.encodings import JSON, PNG, TEXTS


def test_a_key_is_remembered_for_its_route_alone_and_without_its_own_characters() -> None:
    first = remembered_key("POST /uploads", "../key of a caller")
    assert first == remembered_key("POST /uploads", "../key of a caller")
    assert first != remembered_key("POST /trainings", "../key of a caller") != remembered_key("POST /uploads", "key")
    assert first.startswith(IDEMPOTENCY_PREFIX) and first.removeprefix(IDEMPOTENCY_PREFIX).count("/") == 0


@pytest.mark.parametrize("text", ["20260101120000", "20260101120000-0A1B2C", "20260101120000-0a1b2c/", "../../secret"])
def test_what_was_never_given_as_an_id_is_none(text: str) -> None:
    assert ID.fullmatch("20260101120000-0a1b2c") and not ID.fullmatch(text)


def test_the_present_moment_is_in_utc_and_sorts_as_text() -> None:
    moment = datetime.fromisoformat(now())
    assert moment.utcoffset() == timedelta(0) and moment.microsecond == 0 and now() >= moment.isoformat()


Asked = tuple[str, str, dict[str, list[str]], dict[str, str], list[bytes]]
ASKED = st.tuples(
    st.sampled_from(["POST", "PUT"]),
    st.sampled_from(["/a", "/b"]),
    st.dictionaries(st.sampled_from("ab"), st.lists(st.sampled_from(["1", "2", ","]), min_size=1, max_size=2)),
    st.dictionaries(st.sampled_from("cd"), TEXTS, max_size=2),
    st.lists(st.binary(max_size=3), max_size=2),
)


def digest_of_form(asked: Asked) -> str:
    method, path, query, fields, files = asked
    backwards = dict(reversed(query.items())), dict(reversed(fields.items()))
    content_type, body = write_form(backwards[1], [("image", file) for file in files])
    return request_digest(method, path, backwards[0], content_type, body)


@given(ASKED, ASKED)
def test_two_requests_have_the_same_digest_exactly_if_they_ask_the_same(one: Asked, other: Asked) -> None:
    method, path, query, fields, files = one
    again = request_digest(method, path, query, *write_form(fields, [("image", file) for file in files]))
    assert digest_of_form(one) == again
    assert (digest_of_form(one) == digest_of_form(other)) == (one == other)


def digest(body: bytes, content_type: str | None = JSON, **query: list[str]) -> str:
    return request_digest("POST", "/annotations", query, content_type, body)


@pytest.mark.parametrize(
    ("body", "other"),
    [(b'{"a": 1, "b": [1, 2]}', b'{ "b":[1,2],"a":1 }'), ('{"a": "é"}'.encode(), b'{"a": "\\u00e9"}')],
)
def test_json_is_the_same_however_it_is_written(body: bytes, other: bytes) -> None:
    assert digest(body) == digest(other, "application/json; charset=utf-8")


@pytest.mark.parametrize(
    "body", [b"{", b"[1]", b'{"a": ' + b"[" * 9_000 + b"]" * 9_000 + b"}", b'{"a": 1, "a": 1}', b"\xff"]
)
def test_what_cannot_be_read_is_the_same_byte_by_byte(body: bytes) -> None:
    assert digest(body) == digest(body) != digest(body + b" ")


def test_whatever_differs_makes_another_request() -> None:
    boundary = "multipart/form-data; boundary=Z"
    dog, part = b"dog", b'--Z\r\ncontent-disposition: form-data; name="a"\r\n\r\n%s\r\n--Z--'
    different = [
        digest(b'{"a": [1, 2]}'),
        digest(b'{"a": [2, 1]}'),
        digest(b'{"a": "1"}'),
        digest(b'{"a": 1}'),
        digest(dog, PNG),
        digest(dog, "image/jpeg"),
        digest(dog, None),
        digest(dog, PNG, label=["fish"]),
        digest(dog, PNG, label=["car"]),
        digest(dog, PNG, label=["car", "fish"]),
        digest(dog, PNG, label=["fish", "car"]),
        digest(dog, PNG, label=["fish,car"]),
        digest(part % b"dog", boundary),
        digest(part % b"doZg", boundary),
        digest(part.replace(b'"a"', b'"image"; filename="a"') % b"dog", boundary),
        digest(b"--Z\r\n" + dog, boundary),
        digest(json.dumps({"a": "Z"}).encode()),
    ]
    assert len(set(different)) == len(different)
