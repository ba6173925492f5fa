"""Requests: the same is asked in every encoding, on the way to the API and on to the container."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import limits
from contract.images import ThumbnailRequest
from contract.problems import BadRequest, PayloadTooLarge, ProblemError
from contract.questions import Parameters
from contract.requests import ClassifyRequest, EmbedRequest, InspectRequest, S3Object, parse_request, to_multipart
from contract.texts import same_to_the_model
from tests.contract.encodings import IMAGE, JSON, PNG, TEXTS, as_form, as_json, as_named, as_raw, encoded

NAMES = st.sampled_from(
    [
        *("inputs", "images", "texts", "s3_key", "operation", "label", "annotations", "parameters", "heads"),
        *("head_bytes", "question", "embeddings", "labels", *Parameters.model_fields),
    ]
)


def test_json_raw_and_form_ask_the_same() -> None:
    asked = {"candidate_labels": ["cat", "dog"], "hypothesis_template": "a {}", "top_k": 1, "multi_label": True}
    from_json = as_json(encoded(), **asked)
    from_raw = as_raw(candidate_labels=["cat,dog"], hypothesis_template=["a {}"], top_k=["1"], multi_label=["true"])
    from_form = as_form(
        ("image", "cat.png", IMAGE),
        ("candidate_labels", "", b"cat, dog"),
        ("hypothesis_template", "", b"a {}"),
        ("top_k", "", b"1"),
        ("multi_label", "", b"true"),
    )
    assert from_json.images == from_raw.images == from_form.images == [IMAGE]
    assert from_json.parameters == from_raw.parameters == from_form.parameters


def test_octet_stream_is_an_image_too() -> None:
    request = parse_request("application/octet-stream", IMAGE, {"candidate_labels": ["a,b"]})
    assert request.images == [IMAGE]


def test_base64_may_be_wrapped_in_lines_and_be_a_data_uri() -> None:
    wrapped = base64.encodebytes(IMAGE * 9).decode()
    assert as_json("data:image/png;base64," + wrapped, candidate_labels="a,b").images == [IMAGE * 9]


@given(
    st.binary(min_size=1),
    st.lists(TEXTS.filter(str.strip), min_size=2, max_size=5, unique_by=same_to_the_model),
)
def test_what_the_lambda_writes_the_container_reads(image: bytes, words: list[str]) -> None:
    sent = as_json(encoded(image), candidate_labels=words, hypothesis_template=["{}", "a {}"], threshold=0.25)
    received = parse_request(*to_multipart(sent, [image, image]))
    assert isinstance(received, ClassifyRequest)
    assert received.images == [image, image]
    assert received.parameters == sent.parameters


@pytest.mark.parametrize("listed", [True, False])
def test_a_lone_image_is_answered_by_a_list_if_the_lambda_says_so(listed: bool) -> None:
    sent = ClassifyRequest([IMAGE], Parameters(candidate_labels="a, b"), listed)
    assert parse_request(*to_multipart(sent, [IMAGE])) == sent
    with pytest.raises(BadRequest, match="listed: not a known field"):
        parse_request(*to_multipart(replace(sent, listed=True), [IMAGE]), operation="classify")


def test_multipart_costs_under_five_percent() -> None:
    image = bytes(50_000)
    _, body = to_multipart(as_raw(candidate_labels=["cat,dog"]), [image])
    assert len(body) <= 1.05 * len(image)


def test_texts_and_images_to_embed_survive_the_way_to_the_container() -> None:
    sent = parse_request(JSON, json.dumps({"inputs": {"texts": ["a", "[b"]}}).encode(), operation="embed")
    assert parse_request(*to_multipart(sent, [IMAGE])) == EmbedRequest([IMAGE], ["a", "[b"])


def test_images_to_inspect_survive_the_way_to_the_container() -> None:
    assert parse_request(*to_multipart(InspectRequest([IMAGE]), [IMAGE])) == InspectRequest([IMAGE])
    as_json = {"operation": "inspect", "inputs": [encoded(), "*"]}
    image, problem = parse_request(JSON, json.dumps(as_json).encode()).images
    assert image == IMAGE and isinstance(problem, BadRequest)
    with pytest.raises(BadRequest, match="between 1 and 64"):
        InspectRequest([])


def test_images_to_shrink_survive_the_way_to_the_container() -> None:
    assert parse_request(*to_multipart(ThumbnailRequest([IMAGE], 64), [IMAGE])) == ThumbnailRequest([IMAGE], 64)
    as_json = {"operation": "thumbnail", "inputs": [encoded()], "size": "512"}
    assert parse_request(JSON, json.dumps(as_json).encode()) == ThumbnailRequest([IMAGE], 512)
    with pytest.raises(BadRequest, match="size is given 0 times"):
        parse_request("image/png", IMAGE, {"operation": ["thumbnail"]})


def test_tasks_survive_the_way_to_the_container() -> None:
    sent = as_json(encoded(), multi_label=True, tasks={"t": {"candidate_labels": "a,b", "multi_label": False}})
    received = parse_request(*to_multipart(sent, [IMAGE]))
    assert isinstance(received, ClassifyRequest)
    assert received.parameters.questions == sent.parameters.questions
    assert not received.parameters.tasks["t"].multi_label


def test_the_container_knows_no_saved_task() -> None:
    with pytest.raises(BadRequest, match="the model knows no saved tasks"):
        as_json(encoded(), task="animal")


def test_an_image_may_be_written_as_hugging_faces_javascript_client_does() -> None:
    assert as_json({"image": encoded()}, candidate_labels="a,b") == as_json(encoded(), candidate_labels="a,b")
    listed = as_json([{"image": encoded()}, encoded()], candidate_labels="a,b")
    assert listed.images == [IMAGE, IMAGE]
    embed = {"inputs": {"images": [{"image": encoded()}]}}
    assert parse_request(JSON, json.dumps(embed).encode(), operation="embed").images == [IMAGE]


@pytest.mark.parametrize("prefix", ["data:image/png;base64,", "DATA:IMAGE/PNG;BASE64,", "Data:;base64,"])
def test_a_data_url_is_an_image_in_any_case(prefix: str) -> None:
    assert as_json(prefix + encoded(), candidate_labels="a,b").images == [IMAGE]


def test_what_is_null_is_left_out() -> None:
    nulls = dict.fromkeys(("hypothesis_template", "multi_label", "top_k", "threshold", "thresholds", "tasks", "task"))
    labels = ["a", {"label": "b", "annotations": None}]
    assert as_json(encoded(), candidate_labels=labels, **nulls) == as_json(encoded(), candidate_labels="a,b")
    shared = as_json(encoded(), multi_label=True, tasks={"t": {"candidate_labels": "a,b", "multi_label": None}})
    assert shared.parameters.questions["t"].multi_label
    saved = {"t": {"candidate_labels": ["a", "b"], "multi_label": True}}
    asked = as_named(task="t", candidate_labels=None, multi_label=None).with_saved_tasks(saved)
    assert asked.parameters.multi_label
    with pytest.raises(BadRequest, match="candidate_labels is missing"):
        as_json(encoded(), candidate_labels=None)
    with pytest.raises(BadRequest, match="parameters: "):
        parse_request(JSON, json.dumps({"inputs": encoded(), "parameters": None}).encode())


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"image": 5}, "an image is base64 text or .* got"),
        ({"image": encoded(), "size": 5}, "an image is base64 text or"),
        (5, "an image is base64 text or .* got 5"),
        ({"url": "x"}, "an image is base64 text or"),
        ({"s3_key": "tasks/a.json"}, "must start with 'uploads/', got 'tasks/a.json'"),
        ({"s3_key": "uploads/" + "é" * 600}, "at most 1024 bytes, got 1208"),
        ("https://example.com/cat.jpg", "is a URL, which is never fetched"),
        ("no base64!", "not valid base64"),
        ("", "the image is empty"),
    ],
)
def test_what_is_no_image_is_refused_with_what_is(inputs: object, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        as_json(inputs, candidate_labels="a,b")


def test_a_bad_image_in_a_list_loses_only_itself() -> None:
    request = as_json([encoded(), "no base64!", {"s3_key": "uploads/1"}], candidate_labels="a,b")
    good, bad, stored = request.images
    assert (good, stored) == (IMAGE, S3Object(s3_key="uploads/1"))
    assert isinstance(bad, BadRequest)


def test_too_many_images() -> None:
    with pytest.raises(BadRequest, match="65 images, between 1 and 64"):
        as_json([encoded()] * 65, candidate_labels="a,b")


def test_scores_are_limited_unless_top_k_keeps_them_few() -> None:
    words = [str(n) for n in range(6000)]
    with pytest.raises(BadRequest, match="set top_k"):
        as_json([encoded()] * 10, candidate_labels=words)
    assert len(as_json([encoded()] * 10, candidate_labels=words, top_k=5).images) == 10


def test_image_bytes_are_limited_together() -> None:
    half = bytes(limits.MAX_INLINE_IMAGE_BYTES // 2 + 1)
    with pytest.raises(PayloadTooLarge, match="shrink them to 1024 px"):
        as_form(("image", "a", half), ("image", "b", half), ("candidate_labels", "", b"a,b"))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(encoded()),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text() | NAMES, values, max_size=4),
    max_leaves=20,
)


@given(
    st.dictionaries(NAMES, ANYTHING, max_size=5),
    st.sampled_from([JSON, "Application/JSON; charset=idna"]),
    st.sampled_from([None, "classify", "embed", "inspect", "thumbnail", "teach"]),
)
def test_no_json_at_all_makes_the_parser_fail_otherwise(body: dict[str, object], content_type: str, asks: Any) -> None:
    try:
        parse_request(content_type, json.dumps(body).encode(), operation=asks)
    except ProblemError as problem:
        assert problem.status in (400, 413) and problem.detail.encode()


@given(st.dictionaries(NAMES, st.lists(st.text(), min_size=1)), st.text())
def test_no_query_and_no_content_type_make_the_parser_fail_otherwise(
    query: dict[str, list[str]], content_type: str
) -> None:
    for each in (PNG, content_type, f"multipart/form-data; boundary={content_type}"):
        try:
            parse_request(each, IMAGE, query)
        except ProblemError as problem:
            assert problem.status in (400, 413, 415) and problem.detail.encode()


@given(st.sampled_from([JSON, PNG, "multipart/form-data; boundary=XX"]), st.binary())
def test_no_bytes_at_all_make_the_parser_fail_otherwise(content_type: str, body: bytes) -> None:
    try:
        parse_request(content_type, b"--XX" + body + b"\r\n--XX--" if "XX" in content_type else body)
    except ProblemError as problem:
        assert problem.status in (400, 413, 415)


def test_one_text_of_a_form_is_a_text_to_embed() -> None:
    request = parse_request(PNG, IMAGE, {"texts": ["a cat, a dog"]}, operation="embed")
    assert request == EmbedRequest([IMAGE], ["a cat, a dog"])


def test_nothing_to_embed() -> None:
    with pytest.raises(BadRequest, match="nothing to embed"):
        parse_request(JSON, b'{"inputs": {}}', operation="embed")


def test_the_caller_of_a_route_does_not_choose_the_operation() -> None:
    body = json.dumps({"inputs": encoded(), "parameters": {"candidate_labels": "a,b"}, "operation": "embed"})
    with pytest.raises(BadRequest, match="operation: is not a known field"):
        parse_request(JSON, body.encode(), operation="classify")
