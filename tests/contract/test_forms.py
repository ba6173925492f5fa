"""Forms and queries: how their fields become the members of a JSON request."""

import json

import pytest

from contract.problems import BadRequest, UnsupportedMediaType
from contract.requests import parse_request
from tests.contract.encodings import IMAGE, PNG, as_form, as_json, as_raw, encoded, labels


def test_one_form_field_of_parameters_is_the_json_member() -> None:
    asked = {"candidate_labels": ["cat", "dog"], "threshold": 0.5}
    form = as_form(("image", "cat.png", IMAGE), ("parameters", "", json.dumps(asked).encode()))
    assert form.parameters == as_json(encoded(), **asked).parameters


@pytest.mark.parametrize("query", [["a, b", "c"], ['["a, b", "c"]']])
def test_a_repeated_parameter_or_json_keeps_the_commas_of_a_label(query: list[str]) -> None:
    assert labels(as_raw(candidate_labels=query)) == ["a, b", "c"]


def test_a_template_may_start_with_its_place_for_the_label() -> None:
    request = as_raw(candidate_labels=["a,b"], hypothesis_template=["{}, photographed"])
    assert request.parameters.hypothesis_template == ["{}, photographed"]


def test_two_files_in_a_form_are_a_list_and_one_is_not() -> None:
    label_field = ("candidate_labels", "", b"a,b")
    assert as_form(("image", "1", b"1"), ("image", "2", b"2"), label_field).listed
    assert not as_form(("image", "1", b"1"), label_field).listed


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("application/x-www-form-urlencoded", "-H 'content-type: image/jpeg'"),
        ("text/plain", "text/plain"),
        (None, "no content-type"),
    ],
)
def test_other_media_types_are_told_what_to_send(content_type: str | None, words: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=words):
        parse_request(content_type, IMAGE, {"candidate_labels": ["a,b"]})


def test_an_unknown_field_of_a_form_is_named() -> None:
    with pytest.raises(BadRequest, match="candidate_label: not a known field"):
        as_raw(candidate_label=["a,b"])


def test_a_parameter_given_twice_is_named() -> None:
    with pytest.raises(BadRequest, match="top_k is given 2 times"):
        as_raw(candidate_labels=["a,b"], top_k=["1", "2"])


def test_an_empty_raw_body() -> None:
    with pytest.raises(BadRequest, match=r"--data-binary @image\.jpg"):
        parse_request(PNG, b"", {"candidate_labels": ["a,b"]})


def test_a_form_without_the_at_sign() -> None:
    with pytest.raises(BadRequest, match=r"-F image=@image\.jpg"):
        as_form(("image", "", b"cat.jpg"), ("candidate_labels", "", b"a,b"))


def test_a_form_that_was_cut() -> None:
    body = b'--XX\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n' + IMAGE
    with pytest.raises(BadRequest, match="the body was cut"):
        parse_request("multipart/form-data; boundary=XX", body)


@pytest.mark.parametrize("field", ["candidate_labels", "tasks", "parameters"])
@pytest.mark.parametrize("nested", ["[", '{"a":'])
def test_a_field_that_is_nested_without_end(field: str, nested: str) -> None:
    with pytest.raises(BadRequest, match=field):
        as_raw(**{field: [nested * 200_000]})
