import pytest

from contract.problems import BadRequest, UnsupportedMediaType
from contract.requests import ClassifyBody, parse_request
from contract.uploads import UploadsBody
from contract.validation import media_type_of, parse_json, validate
from tests.contract.encodings import JSON


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
