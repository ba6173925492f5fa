"""Teaching: lessons and heads on their way between the API and the container."""

import json
import struct
from dataclasses import replace
from typing import Any

import pytest

from contract.limits import MAX_INVOCATION_BYTES, MAX_TAUGHT_IMAGES, MAX_TAUGHT_SCORES
from contract.problems import BadRequest
from contract.questions import Question, Task
from contract.requests import ClassifyRequest, parse_request, to_multipart
from contract.teaching import (
    HeadFile,
    TeachRequest,
    embedding_bytes,
    embedding_text,
    head_digest,
    max_taught_images,
    question_digest,
)
from contract.weights import write_tensors
from tests.contract.encodings import IMAGE, JSON, as_form, as_json, encoded

QUESTION = Question.model_validate({"candidate_labels": ["cat", {"label": "dog", "annotations": ["a dog", "a pup"]}]})
CAT, DOG = struct.pack("<2f", 1, 0), struct.pack("<2f", 0, 1)
HEAD = HeadFile("tiny@1", question_digest(QUESTION), 2, 2, {"weights": CAT + DOG, "biases": bytes(8)})
NAME = head_digest(HEAD.write())


def question(**changes: object) -> Question:
    return Question.model_validate({**QUESTION.model_dump(), **changes})


def test_a_lesson_survives_the_way_to_the_container_in_both_encodings() -> None:
    sent = TeachRequest(QUESTION, [CAT, DOG, CAT], [0, 1, 1])
    assert parse_request(*to_multipart(sent, ())) == sent
    body = {"operation": "teach", **sent.fields()["teach"]}
    assert parse_request(JSON, json.dumps(body).encode()) == sent


def test_a_saved_task_teaches_by_its_question() -> None:
    task = Task.model_validate({**QUESTION.model_dump(), "description": "for the shelter", "top_k": 1})
    received = parse_request(*to_multipart(TeachRequest(task, [CAT], [0]), ()))
    assert isinstance(received, TeachRequest) and received.question.candidate_labels == QUESTION.candidate_labels


@pytest.mark.parametrize(
    ("embeddings", "labels", "words"),
    [
        ([], [], "0 embeddings and 0 labels"),
        ([CAT], [0, 1], "1 embeddings and 2 labels"),
        ([CAT], [2], "places in a list of 2, got 2 to 2"),
        ([CAT], [-1], "got -1"),
        ([CAT, DOG + CAT], [0, 1], "one embedding has 8 bytes and another 16"),
        ([b""], [0], "an embedding of 0 bytes"),
        ([b"abc"], [0], "an embedding of 3 bytes"),
        ([CAT] * (MAX_TAUGHT_IMAGES + 1), [0] * (MAX_TAUGHT_IMAGES + 1), "send a sample"),
    ],
)
def test_what_does_not_belong_together_is_refused(embeddings: list[bytes], labels: list[int], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        TeachRequest(QUESTION, embeddings, labels)


def test_some_questions_can_not_be_taught() -> None:
    with pytest.raises(BadRequest, match="multi_label"):
        TeachRequest(question(multi_label=True), [CAT], [0])
    with pytest.raises(BadRequest, match="1001 labels, at most 1000"):
        TeachRequest(question(candidate_labels=[f"label {n}" for n in range(1001)]), [CAT], [0])


def test_a_lesson_is_bounded_by_images_by_scores_and_by_bytes() -> None:
    assert max_taught_images(2, 512) == MAX_TAUGHT_IMAGES
    assert max_taught_images(1000, 512) == MAX_TAUGHT_SCORES // 1000
    assert max_taught_images(2, 512, 1_000_000) == 364, "where less reaches the model"
    labels = question(candidate_labels=[f"label {n}" for n in range(1000)])
    with pytest.raises(BadRequest, match="501 images of 1000 labels, at most 500"):
        TeachRequest(labels, [CAT] * 501, [0] * 501)
    most = max_taught_images(2, 4096)
    sent = to_multipart(TeachRequest(QUESTION, [bytes(4 * 4096)] * most, [0] * most), ())
    assert 0.95 * MAX_INVOCATION_BYTES < len(sent[1]) < MAX_INVOCATION_BYTES + 10_000


@pytest.mark.parametrize(
    "body",
    [
        {"question": {"candidate_labels": ["a", "b"]}, "embeddings": ["*"], "labels": [0]},
        {"question": {"candidate_labels": ["a", "b"]}, "embeddings": ["é"], "labels": [0]},
        {"question": {"candidate_labels": ["a", "b"]}, "embeddings": [embedding_text(CAT)], "labels": [0.5]},
        {"question": {"candidate_labels": ["a", "b"]}, "embeddings": [embedding_text(CAT)], "labels": ["0"]},
        {"question": {"candidate_labels": ["a"]}, "embeddings": [embedding_text(CAT)], "labels": [0]},
        {"question": {"candidate_labels": ["a", "b"]}, "embeddings": ["A" * 40_000], "labels": [0]},
        {"embeddings": [], "labels": []},
        {},
    ],
)
def test_no_lesson_at_all_is_refused_with_a_sentence(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        parse_request(JSON, json.dumps({"operation": "teach", **body}).encode())


def test_a_form_without_its_lesson_is_refused() -> None:
    with pytest.raises(BadRequest, match="teach must be a JSON object"):
        as_form(("operation", "", b"teach"))


def test_a_digest_tells_questions_apart_by_what_their_vectors_depend_on_and_by_nothing_else() -> None:
    assert question_digest(question(top_k=1, unknown=True, threshold=0.5)) == question_digest(QUESTION)
    others = [
        question(candidate_labels=["cat", "dog"]),
        question(candidate_labels=["dog", "cat"]),
        question(hypothesis_template=["a {}"]),
        question(multi_label=True),
        question(candidate_labels=["cat, dog", "cow"]),
        question(candidate_labels=["cat", {"label": "hound", "annotations": ["a dog", "a pup"]}]),
    ]
    assert len({question_digest(each) for each in [QUESTION, *others]}) == 1 + len(others)


OF_IMAGES = {"centre": DOG, "metric": CAT + DOG, "fit": CAT}


@pytest.mark.parametrize("more", [{}, OF_IMAGES, {**OF_IMAGES, "text_only": CAT}])
def test_a_head_is_the_same_when_it_is_read_again_and_its_bytes_when_it_is_written_again(
    more: dict[str, bytes],
) -> None:
    head = replace(HEAD, tensors={**HEAD.tensors, **more})
    assert HeadFile.read(head.write()) == head
    assert HeadFile.read(head.write()).write() == head.write()


def written(tensors: dict[str, tuple[list[int], bytes]], **metadata: str) -> bytes:
    said = {"model_version": "tiny@1", "question": HEAD.question, **metadata}
    return write_tensors({"weights": ([2, 2], CAT + DOG), "biases": ([2], CAT), **tensors}, said)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no safetensors file"),
        (b"\x80\x04pickle" * 9, "no safetensors file"),
        (HEAD.write()[:-1], "should have"),
        (HEAD.write() + b"x", "should have"),
        (written({}, question="no digest"), "question"),
        (written({}, colour="red"), "colour: is not a known field"),
        (write_tensors({"weights": ([2, 2], CAT + DOG)}, {"model_version": "v", "question": HEAD.question}), "holds"),
        (written({"other": ([2], CAT)}), "holds biases, other, weights, which no head does"),
        (written({"metric": ([2, 2], CAT + DOG)}), "which no head does"),
        (written({"biases": ([1, 2], CAT)}), r"biases as F32 \[1, 2\]"),
        (written({"weights": ([4], CAT + DOG)}), "weights as F32"),
        (written({"weights": ([0, 2], b""), "biases": ([0], b"")}), "weights as F32"),
        (written({"weights": ([2, 2], CAT + struct.pack("<2f", 0, float("nan")))}), "no numbers"),
        (written({"centre": ([2], CAT), "metric": ([2, 1], CAT), "fit": ([2], CAT)}), "metric as F32"),
        (written({"text_only": ([2], CAT)}), "which no head does"),
        (bytes(16_000_001), "16,000,001 bytes"),
    ],
)
def test_what_is_no_head_is_refused_with_a_sentence(content: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        HeadFile.read(content)


def test_embeddings_survive_as_text() -> None:
    assert embedding_bytes(embedding_text(CAT + DOG), "it") == CAT + DOG
    with pytest.raises(BadRequest, match="it is not valid base64"):
        embedding_bytes("no base64", "it")


def with_head(**members: object) -> ClassifyRequest:
    body = {"inputs": encoded(), "parameters": {"candidate_labels": ["cat", "dog"]}, **members}
    request = parse_request(JSON, json.dumps(body).encode())
    assert isinstance(request, ClassifyRequest)
    return request


def test_heads_survive_the_way_to_the_container_with_their_bytes_and_without() -> None:
    asked = as_json(
        encoded(), tasks={"pet": {"candidate_labels": "cat, dog"}, "sky": {"candidate_labels": "sun, rain"}}
    )
    for files in ({}, {NAME: HEAD.write()}):
        sent = replace(asked, heads={"pet": NAME}, head_files=files)
        assert parse_request(*to_multipart(sent, [IMAGE])) == sent
    assert with_head(heads={"": NAME}, head_bytes={NAME: embedding_text(HEAD.write())}).head_files
    assert b"head" not in to_multipart(asked, [IMAGE])[1]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"heads": {"pet": NAME}}, "heads names pet, which is not asked"),
        ({"heads": {"": "abc"}}, "heads"),
        ({"heads": {"": NAME + "\n"}}, "heads"),
        ({"heads": ["a"]}, "heads"),
        ({"head_bytes": {NAME: embedding_text(b"other")}}, f"the head {NAME} came with the sha256"),
        ({"head_bytes": {NAME: "*"}}, "not valid base64"),
        ({"heads": {str(number): NAME for number in range(33)}}, "at most 32"),
    ],
)
def test_heads_that_make_no_sense_are_refused(members: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        with_head(**members)


@pytest.mark.parametrize("members", [{"heads": {"": NAME}}, {"head_bytes": {}}])
def test_no_caller_of_a_route_chooses_a_head(members: dict[str, Any]) -> None:
    body = {"inputs": encoded(), "parameters": {"candidate_labels": "a, b"}}
    for refused in ({**body, **members}, {**body, "parameters": {**body["parameters"], **members}}):
        with pytest.raises(BadRequest, match="is not a known field"):
            parse_request(JSON, json.dumps(refused).encode(), operation="classify")
    form = {"candidate_labels": ["a, b"], **{name: [json.dumps(value)] for name, value in members.items()}}
    with pytest.raises(BadRequest, match="not a known field"):
        parse_request("image/png", IMAGE, form, operation="classify")
    for operation in ("embed", "inspect"):
        with pytest.raises(BadRequest, match="not a known field"):
            parse_request("image/png", IMAGE, {"heads": ["{}"]}, operation=operation)


def test_no_caller_of_a_route_teaches() -> None:
    lesson = TeachRequest(QUESTION, [CAT], [0]).fields()
    with pytest.raises(BadRequest, match="not a known field"):
        parse_request(JSON, json.dumps({"operation": "teach", **lesson["teach"]}).encode(), operation="classify")
