"""What a row says, in the names that datasets use."""

import json
import unicodedata
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.layouts.found import Findings
from contract.layouts.places import Directory
from contract.layouts.said import (
    CUT_SENTENCES,
    EMPTY_SENTENCES,
    KNOWN_FIELDS,
    NUMBERED_LABELS,
    Said,
    image_name,
    said_in_row,
)

TEXT = st.text(st.characters(), max_size=8) | st.sampled_from(["\ud83d", "a\\b", "../x", "s3://b/..", "1", " ", "dev"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def read(fields: dict[str, Any], findings: Findings | None = None, classes: list[str] | None = None) -> Said:
    return said_in_row(fields, Directory(Path("/nowhere")), "set", None, classes or [], findings or Findings())


def test_everything_that_a_row_may_say_is_kept() -> None:
    fields: dict[str, object] = {
        "image": "1.png",
        "captions": ["a red  circle", "round"],
        "labels": {"shape": "circle"},
        "label": "x",
    }
    fields |= {"task": "kind", "split": "Val", "held_out": "what is it", "weight": "0.5", "id": 7}
    assert read(fields) == Said(
        image="set/1.png",
        sentences=("a red circle", "round"),
        labels={"shape": "circle", "kind": "x"},
        split="validation",
        held_out=("what is it",),
        weight=0.5,
        id="7",
    )


@pytest.mark.parametrize(
    "image_field", ["image", "file_name", "filepath", "source-ref", "filename", "image_path", "path"]
)
@pytest.mark.parametrize("said_field", ["sentences", "captions", "text", "caption", "title"])
def test_fields_have_the_names_that_datasets_use(image_field: str, said_field: str) -> None:
    assert read({image_field: "1.png", said_field: "red"}) == Said("set/1.png", ("red",))


def test_sentences_the_same_to_the_model_are_one_and_empty_ones_are_counted() -> None:
    findings = Findings()
    said = read({"image": "1", "captions": ["A cat", "a  cat", "", "caf\u00e9", "cafe\u0301", "x" * 2000]}, findings)
    assert said.sentences == ("A cat", "café", "x" * 1000)
    assert findings.notes == {EMPTY_SENTENCES: 1, CUT_SENTENCES: 1}


def test_the_label_that_is_met_first_is_kept() -> None:
    findings = Findings()
    labels = [read({"image": "1", "label": label}, findings).labels[""] for label in ("Cat", "cat", "CAT ", "dog")]
    assert labels == ["Cat", "Cat", "Cat", "dog"]
    assert sum(findings.notes.values()) == 2 and all("taken for 'Cat'" in note for note in findings.notes)
    assert read({"image": "1", "label": "cat", "task": "other"}, findings).labels == {"other": "cat"}


@pytest.mark.parametrize("label", [1, 1.0, "1", " 1 "])
def test_a_number_is_the_place_of_a_name_or_says_itself(label: object) -> None:
    findings = Findings()
    assert read({"image": "1", "label": label}, findings, ["cat", "dog"]).labels == {"": "dog"}
    assert findings.notes == {}
    assert read({"image": "1", "label": label}, findings).labels == {"": "1"}
    assert findings.notes == {NUMBERED_LABELS: 1}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"text": "red"}, "names no image: one of s3_key, image"),
        ({"image": None, "text": "red"}, "image: a path is needed, got null"),
        ({"image": "", "text": "red"}, "image: a path is needed"),
        ({"image": "a\0b", "text": "red"}, "must be a path below"),
        ({"image": "\ud800.png", "text": "red"}, "half of a character"),
        ({"image": "..\\..\\1.png", "text": "red"}, "must be a path below"),
        ({"image": "\\\\server\\1.png", "text": "red"}, "must be a path below"),
        ({"image": "file:///etc/passwd", "text": "red"}, "never fetched"),
        ({"image": "1"}, "says nothing of the image"),
        ({"image": "1", "label": None, "text": None}, "is empty"),
        ({"image": "1", "text": {"en": "red"}}, "give a sentence or a list of sentences"),
        ({"image": "1", "label": 1.5}, "a label is text, got 1.5"),
        ({"image": "1", "label": False}, "a label is text, got false"),
        ({"image": "1", "label": "x" * 1001}, "at most 1,000 characters, got 1,001"),
        ({"image": "1", "labels": {"a": "b\udfff"}}, "a: half of a character"),
        ({"image": "1", "labels": {"\ud800": "b"}}, "a task's name: half of a character"),
        ({"image": "1", "label": "x", "task": "\ud800"}, "task: half of a character"),
        ({"image": "1", "label": "x", "task": 3}, "task: a name is needed, got 3"),
        ({"image": "1", "text": "x", "split": 1}, "split: train, validation or test is needed, got 1"),
        ({"image": "1", "text": "x", "weight": True}, "weight: a number"),
        ({"image": "1", "text": "x", "weight": "1e999"}, "weight: a number"),
        ({"image": "1", "text": "x", "id": [1]}, "id: a name or a number"),
    ],
)
def test_what_is_wrong_with_a_row_is_told(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read(fields)


def test_ground_truth_says_a_class_in_its_metadata() -> None:
    findings = Findings()
    fields: dict[str, object] = {
        "source-ref": "s3://b/x.jpg",
        "kind": 1,
        "kind-metadata": {"class-name": "boat"},
        "height": 3,
    }
    assert read(fields, findings).labels == {"kind": "boat"}
    assert findings.ignored_fields == {"height": 1}


def test_a_path_may_be_written_as_on_another_system(tmp_path: Path) -> None:
    place = Directory(tmp_path)
    decomposed = unicodedata.normalize("NFD", "café.png")
    for name in ("a/1.png", decomposed, "back\\slash.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert image_name(place, "", "image", "a\\1.png") == "a/1.png"
    assert image_name(place, "a", "image", "..\\a\\.\\1.png") == "a/1.png"
    assert image_name(place, "", "image", "café.png") == decomposed
    assert image_name(place, "", "image", "back\\slash.png") == "back\\slash.png"
    assert image_name(place, "", "image", "gone\\2.png") == "gone/2.png"


@given(st.dictionaries(st.sampled_from([*KNOWN_FIELDS, "kind", "kind-metadata", "\ud800"]), JSON, max_size=6))
def test_whatever_a_row_holds_it_is_said_or_refused_with_a_sentence_that_can_be_written_down(
    row: dict[str, Any],
) -> None:
    findings = Findings()
    try:
        written = json.dumps(asdict(read({"image": "1.png", **row}, findings)), ensure_ascii=False)
    except ValueError as refused:
        written = str(refused)
        assert type(refused) is ValueError and ": " in written
    assert (written + findings.model_dump_json()).encode()
