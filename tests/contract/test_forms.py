"""Forms and queries: how their fields become the members of a JSON request."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.forms import read_fields, write_form
from contract.limits import MAX_FORM_PARTS, MAX_PART_HEAD_BYTES
from contract.problems import BadRequest, ProblemError, UnsupportedMediaType
from contract.requests import ClassifyRequest, parse_request
from tests.contract.encodings import IMAGE, PNG, TEXTS, as_form, as_json, as_raw, encoded, form, labels


def test_one_form_field_of_parameters_is_the_json_member() -> None:
    asked = {"candidate_labels": ["cat", "dog"], "threshold": 0.5}
    sent = as_form(("image", "cat.png", IMAGE), ("parameters", "", json.dumps(asked).encode()))
    assert sent.parameters == as_json(encoded(), **asked).parameters


@pytest.mark.parametrize("query", [["a, b", "c"], ['["a, b", "c"]']])
def test_a_repeated_parameter_or_json_keeps_the_commas_of_a_label(query: list[str]) -> None:
    assert labels(as_raw(candidate_labels=query)) == ["a, b", "c"]


def test_a_template_may_start_with_its_place_for_the_label() -> None:
    request = as_raw(candidate_labels=["a,b"], hypothesis_template=["{}, photographed"])
    assert request.parameters.hypothesis_template == ["{}, photographed"]


def test_a_form_that_was_cut_before_is_not_cut_again() -> None:
    kind, body = form(("image", "cat.png", IMAGE), ("candidate_labels", "", b"cat, dog"))
    assert parse_request(kind, b"", cut=read_fields(kind, body, {})) == parse_request(kind, body)


def test_parameters_that_were_asked_before_are_not_read_again_if_they_are_short() -> None:
    def asked(count: int) -> ClassifyRequest:
        said = json.dumps({"candidate_labels": [f"label {number}" for number in range(count)]}).encode()
        return as_form(("image", "cat.png", IMAGE), ("parameters", "", said))

    assert asked(10).parameters is asked(10).parameters
    assert asked(1_000).parameters is not asked(1_000).parameters
    assert asked(1_000) == asked(1_000)


@pytest.mark.parametrize("numbers", [("", ""), ("0", "1")])
def test_a_field_of_a_list_may_be_named_as_axios_and_php_do(numbers: tuple[str, str]) -> None:
    first, second = (f"[{number}]" for number in numbers)
    sent = as_form(
        *((f"image{first}", "1", b"1"), (f"image{second}", "2", b"2")),
        *((f"candidate_labels{first}", "", b"a, b"), (f"candidate_labels{second}", "", b"c")),
    )
    assert (sent.images, labels(sent)) == ([b"1", b"2"], ["a, b", "c"])


def test_so_may_a_field_of_the_query() -> None:
    for query in ({"labels[]": ["a, b", "c"]}, {"labels[0]": ["a, b"], "labels[1]": ["c"]}):
        assert labels(as_raw(**{f"candidate_{name}": value for name, value in query.items()})) == ["a, b", "c"]


def test_what_a_page_leaves_empty_is_left_out() -> None:
    optional = ("hypothesis_template", "multi_label", "top_k", "threshold", "thresholds", "tasks", "task", "parameters")
    sent = as_form(
        *(("image", "cat.png", IMAGE), ("candidate_labels", "", b"a, b"), *((name, "", b"") for name in optional))
    )
    raw = as_raw(candidate_labels=["a, b", ""], **{name: [""] for name in optional})
    assert sent == raw == as_raw(candidate_labels=["a, b"])
    with pytest.raises(BadRequest, match="candidate_labels is missing"):
        as_form(("image", "cat.png", IMAGE), ("candidate_labels", "", b""))


def test_a_file_that_nobody_chose_is_none() -> None:
    body = (
        b'--XX\r\nContent-Disposition: form-data; name="image"; filename=""\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\r\n"
    )
    chosen = form(("image", "cat.png", IMAGE), ("candidate_labels", "", b"a, b"))
    assert parse_request(chosen[0], body + chosen[1]) == parse_request(*chosen)
    with pytest.raises(BadRequest, match="0 images"):
        parse_request(chosen[0], body + b"--XX--", {"candidate_labels": ["a, b"]})


@pytest.mark.parametrize("media_type", ["application/x-image", "application/octet-stream", "image/x-anything"])
def test_an_image_may_come_under_any_of_the_names_of_one(media_type: str) -> None:
    assert parse_request(media_type, IMAGE, {"candidate_labels": ["a, b"]}) == as_raw(candidate_labels=["a, b"])


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


def test_a_file_may_come_without_its_name() -> None:
    assert as_form(("image", "", IMAGE), ("candidate_labels", "", b"a,b")).images == [IMAGE]


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


NAMES = st.text("abcdefghij_-", min_size=1).filter(lambda name: name not in ("image", "inputs"))
DISPOSITION = b'content-disposition: form-data; name="label"'


def read(head: bytes, content: bytes = b"cat", boundary: str = "XX") -> tuple[list[bytes], dict[str, list[str]]]:
    """A form of one part."""
    mark = b"--" + boundary.encode("latin-1")
    body = mark + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n" + mark + b"--\r\n"
    images, fields = read_fields(f"multipart/form-data; boundary={boundary}", body, {})
    return images, {**fields}  # type: ignore[arg-type]


@given(st.dictionaries(NAMES, TEXTS), st.lists(st.binary()))
def test_a_form_is_read_as_it_was_written(fields: dict[str, str], files: list[bytes]) -> None:
    images, texts = read_fields(*write_form(fields, [("image", file) for file in files]), {})
    assert images == files and texts == {name: [text] for name, text in fields.items()}


WORDS = ("\r\n", "form-data", "name", "name*", "name*0", "filename", "image", "utf-8''", "idna''", "%E9", "9" * 5000)
LINES = ("content-disposition:", "content-type: text/plain; charset=undefined")
HEADS = st.lists(st.sampled_from([*"ab;=*'\"%\\\r\n :", *WORDS, *LINES])).map("".join)


@given(HEADS, HEADS, st.binary(max_size=20))
def test_whatever_a_part_or_a_content_type_says_is_read_or_refused(head: str, parameters: str, content: bytes) -> None:
    for content_type in ("multipart/form-data; boundary=XX", f"multipart/form-data; boundary{parameters}"):
        body = b"--XX\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n--XX--"
        try:
            read_fields(content_type, body, {})
        except ProblemError as problem:
            assert problem.status == 400


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"Content-Disposition:form-data;name=label", "label"),
        (b'content-type: text/plain\r\nCONTENT-DISPOSITION: Form-Data; NAME="label"', "label"),
        ('content-disposition: form-data; name="größe"'.encode(), "größe"),
        (b'content-disposition: form-data; name="a%22b%0D%0Ac%41"', 'a"b\r\nc%41'),
        (rb'content-disposition: form-data; name="a\"b\\c"', r'a"b\c'),
        (b'content-disposition: form-data;\r\n name="label"', "label"),
        (b'content-disposition: form-data; name="a;b=c"', "a;b=c"),
    ],
)
def test_the_name_of_a_field_is_read_as_clients_write_it(head: bytes, name: str) -> None:
    assert read(head) == ([], {name: ["cat"]})


@pytest.mark.parametrize(
    "beside", [b'filename="\xe9.png"', b"filename*=UTF-8''%E9.png", b'filename=""', b"filename*=undefined''x"]
)
def test_a_file_is_one_whatever_it_is_called(beside: bytes) -> None:
    assert read(b'content-disposition: form-data; name="image"; ' + beside, IMAGE) == ([IMAGE], {})


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"content-type: text/plain",
        b"content-disposition: form-data; name*=utf-8''label",
        b"content-disposition: form-data; name*0=la; name*1=bel",
        b'content-disposition: form-data; name="a"; name="b"',
        DISPOSITION + b"\r\n" + DISPOSITION,
        b'content-disposition: attachment; name="label"',
        b'content-disposition: form-data; name="label',
        DISPOSITION + b" x",
    ],
)
def test_a_part_without_one_plain_name_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequest, match=r"a part of the form has no (name|headers)"):
        read(head)


def test_the_head_of_a_part_and_the_number_of_parts_are_limited() -> None:
    room = MAX_PART_HEAD_BYTES - len(DISPOSITION) - len(b"\r\n\r\n; x=") - 2
    assert read(DISPOSITION + b"; x=" + b"y" * (room - 1))[1] == {"label": ["cat"]}
    with pytest.raises(BadRequest, match="no headers that end within 8,192 bytes"):
        read(DISPOSITION + b";" * 100_000)
    with pytest.raises(BadRequest, match=f"more than {MAX_FORM_PARTS} parts: send a long list as JSON"):
        as_form(*[("candidate_labels", "", b"a")] * (MAX_FORM_PARTS + 1))


@pytest.mark.parametrize("boundary", ["X" * 70, "a'()+_,-./:=?", '"a b"'])
def test_a_boundary_is_as_rfc_2046_has_it(boundary: str) -> None:
    content_type = f"multipart/form-data; boundary={boundary}"
    body = f"preamble\r\n--{boundary.strip(chr(34))} \r\n".encode() + DISPOSITION + b"\r\n\r\n,\r\n"
    body += f"--{boundary.strip(chr(34))}--".encode()
    assert read_fields(content_type, body, {}) == ([], {"label": [","]})


@pytest.mark.parametrize("boundary", ["X" * 71, "é", '"a "', "a*", '""', "\0"])
def test_another_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(BadRequest, match="boundary"):
        read(DISPOSITION, boundary=boundary)


def test_a_line_that_only_begins_like_the_boundary_is_no_end_of_a_part() -> None:
    with pytest.raises(BadRequest, match="a line of the form begins like its boundary and is none"):
        parse_request("multipart/form-data; boundary=X", b"--X\r\n" + DISPOSITION + b"\r\n\r\ncat\r\n--XY\r\n--X--")


@pytest.mark.parametrize("query", [{"candidate_labels": ["caf\ufffd,b"]}, {"caf\ufffd": ["a"]}, {"task": ["\0"]}])
def test_a_query_in_latin_1_is_refused(query: dict[str, list[str]]) -> None:
    with pytest.raises(BadRequest, match="send UTF-8 text"):
        parse_request(PNG, IMAGE, query)
