"""Annotations: what is said of images, in which encodings, and where a record of it is kept."""

import hashlib
import json

import pytest

from contract.annotations import (
    SPLIT_NAMES,
    AnnotationBody,
    NewAnnotation,
    annotation_id,
    annotation_key,
    annotation_of_key,
    dataset_prefix,
    entry_or_problem,
    image_key,
    keys_of_image,
    parse_annotations,
)
from contract.problems import BadRequest, PayloadTooLarge
from contract.requests import MAX_INLINE_IMAGE_BYTES, S3Object
from contract.validation import validate
from tests.contract.encodings import IMAGE, JSON, PNG, encoded, form

SHA256 = hashlib.sha256(IMAGE).hexdigest()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "nothing is said of the image"),
        ({"task": "colour", "sentences": ["red"]}, "the task 'colour' is given without a label"),
        ({"label": " "}, "label: must not be blank"),
        ({"label": "red", "split": "dev"}, "split: "),
        ({"label": "red", "task": "Colour"}, "a saved task's name has 1 to 63"),
        ({"sentences": ["red"] * 65}, "sentences: .* at most 64"),
        ({"label": "red", "colour": "red"}, "colour: is not a known field"),
    ],
)
def test_what_says_nothing_of_an_image_is_refused_with_what_does(asked: dict[str, object], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        validate(AnnotationBody, asked)


def test_one_sentence_need_not_be_a_list() -> None:
    assert validate(AnnotationBody, {"sentences": "a cat"}).sentences == ["a cat"]


@pytest.mark.parametrize("name", ["Default", "-a", "a/b", "", "a" * 64])
def test_a_dataset_has_a_name_that_fits_a_key(name: str) -> None:
    with pytest.raises(BadRequest, match="a dataset's name has 1 to 63 lower-case letters"):
        dataset_prefix(name)
    with pytest.raises(BadRequest, match="dataset: a dataset's name"):
        validate(NewAnnotation, {"image": encoded(), "label": "cat", "dataset": name})
    assert dataset_prefix("a" * 63) == f"annotations/{'a' * 63}/"


def test_one_annotation_as_json_is_one_entry() -> None:
    body = json.dumps({"image": encoded(), "label": "cat", "dataset": "pets"}).encode()
    (entry,), listed = parse_annotations(JSON, body, {})
    assert isinstance(entry.body, AnnotationBody)
    assert (entry.body.label, entry.image, entry.dataset, listed) == ("cat", IMAGE, "pets", False)


def test_a_list_of_annotations_is_answered_by_a_list_with_problems_in_their_places() -> None:
    stored = {"image": {"s3_key": "uploads/1"}, "sentences": "a cat"}
    items = [stored, {"image": encoded()}, {"image": "no base64!", "label": "cat"}]
    entries, listed = parse_annotations(JSON, json.dumps({"annotations": items}).encode(), {})
    good, empty, unreadable = entries
    assert listed and good.image == S3Object(s3_key="uploads/1")
    assert isinstance(empty.body, BadRequest) and "nothing is said" in empty.body.detail
    assert isinstance(unreadable.body, AnnotationBody) and isinstance(unreadable.image, BadRequest)


def test_what_a_form_says_holds_for_all_of_its_images() -> None:
    fields = [("sentences", "", b"a cat"), ("sentences", "", b"it sleeps"), ("dataset", "", b"pets")]
    entries, listed = parse_annotations(*form(("image", "1", b"1"), ("image", "2", b"2"), *fields), {})
    assert listed and [entry.image for entry in entries] == [b"1", b"2"]
    assert all(entry.body == entries[0].body and entry.dataset == "pets" for entry in entries)
    assert entries[0].body.sentences == ["a cat", "it sleeps"]  # type: ignore[union-attr]


def test_an_image_as_it_is_is_annotated_by_the_query() -> None:
    (entry,), listed = parse_annotations(PNG, IMAGE, {"label": ["cat"], "task": ["pet"]})
    assert not listed and entry.image == IMAGE
    assert entry.body == validate(type(entry.body), {"label": "cat", "task": "pet"})  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("body", "query", "words"),
    [
        ({"image": "", "label": "a"}, {"label": ["a"]}, "the fields of a JSON request go in its body, got label"),
        ({"annotations": [], "label": "a"}, {}, "label beside annotations"),
        ({"annotations": {}}, {}, "annotations is a list of"),
        ({"annotations": []}, {}, "0 annotations, between 1 and 64"),
        ({"annotations": [{}] * 65}, {}, "65 annotations, between 1 and 64"),
    ],
)
def test_a_bad_request_is_told_what_to_send(body: object, query: dict[str, list[str]], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        parse_annotations(JSON, json.dumps(body).encode(), query)


def test_the_images_of_one_request_are_limited_together() -> None:
    half = bytes(MAX_INLINE_IMAGE_BYTES // 2 + 1)
    with pytest.raises(PayloadTooLarge, match="shrink them"):
        parse_annotations(*form(("image", "1", half), ("image", "2", half), ("label", "", b"cat")), {})


def test_an_items_problem_is_both_of_what_is_said_and_of_the_image() -> None:
    entry = entry_or_problem({"label": "cat"})
    assert isinstance(entry.body, BadRequest) and entry.body is entry.image
    assert "image: is missing" in entry.body.detail


def test_the_same_annotation_has_the_same_id_and_another_has_another() -> None:
    cat = validate(AnnotationBody, {"label": "cat", "sentences": ["a cat"]})
    again = validate(NewAnnotation, {"label": "cat", "sentences": "a cat", "image": encoded()})
    dog = validate(AnnotationBody, {"label": "dog"})
    assert annotation_id(SHA256, cat) == annotation_id(SHA256, again) != annotation_id(SHA256, dog)


def test_an_annotation_in_another_spelling_is_the_same_to_the_model_and_so_the_same_record() -> None:
    said = [
        {"label": "Cat", "sentences": ["a cat", "A  cat", "it purrs"]},
        {"label": "cat ", "sentences": ["A cat", "It purrs"]},
    ]
    first, second = (validate(AnnotationBody, each) for each in said)
    assert first.sentences == ["a cat", "it purrs"] and annotation_id(SHA256, first) == annotation_id(SHA256, second)


def test_sentences_in_a_text_are_what_their_json_says_in_every_encoding() -> None:
    written = '["a cat, asleep", "it purrs"]'
    (from_json,), _ = parse_annotations(JSON, json.dumps({"image": encoded(), "sentences": written}).encode(), {})
    (from_query,), _ = parse_annotations(PNG, IMAGE, {"sentences": [written]})
    for entry in (from_json, from_query):
        assert isinstance(entry.body, AnnotationBody) and entry.body.sentences == ["a cat, asleep", "it purrs"]


def test_an_images_records_are_found_by_their_keys() -> None:
    id = annotation_id(SHA256, validate(AnnotationBody, {"label": "cat"}))
    key = annotation_key("pets", id)
    assert key == f"annotations/pets/{id}.json" and annotation_of_key(key) == id
    assert key.startswith(keys_of_image("pets", SHA256))
    assert not key.startswith(keys_of_image("pets", "0" * 64))
    assert image_key(SHA256) == f"images/{SHA256}"


def test_what_is_no_id_and_no_sha256_is_no_part_of_a_key() -> None:
    with pytest.raises(BadRequest, match="one that POST /annotations has answered"):
        annotation_key("pets", "../../x")
    with pytest.raises(BadRequest, match="a sha256 in 64 lower-case hexadecimal digits"):
        image_key(SHA256.upper())


def test_every_name_of_a_split_stands_for_one_that_an_annotation_may_have() -> None:
    for split in SPLIT_NAMES.values():
        assert validate(AnnotationBody, {"label": "a", "split": split}).split == split
    assert SPLIT_NAMES["val"] == SPLIT_NAMES["dev"] == "validation"
