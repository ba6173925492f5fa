"""Answers: one renderer gives each request the shape that it asked for."""

import pytest

from contract.answers import LabelScore, render_classify
from contract.problems import UnprocessableImage
from tests.contract.encodings import as_json, encoded

ANSWER = {"": [LabelScore(label="a", score=0.75), LabelScore(label="b", score=0.25)]}


def test_one_image_and_one_label_set_answer_in_hugging_faces_shape() -> None:
    request = as_json(encoded(), candidate_labels="a,b")
    assert render_classify(request, [ANSWER]) == [{"label": "a", "score": 0.75}, {"label": "b", "score": 0.25}]


def test_a_list_answers_with_a_list_even_of_one() -> None:
    assert render_classify(as_json([encoded()], candidate_labels="a,b"), [ANSWER]) == [ANSWER[""]]


def test_tasks_answer_with_a_dict() -> None:
    request = as_json(encoded(), tasks={"t": {"candidate_labels": "a,b"}})
    assert render_classify(request, [{"t": ANSWER[""]}]) == {"t": ANSWER[""]}


def test_a_bad_image_of_a_list_is_a_problem_in_its_place() -> None:
    request = as_json([encoded(), encoded()], candidate_labels="a,b")
    first, second = render_classify(request, [UnprocessableImage("not an image"), ANSWER])
    assert (first["status"], first["detail"], first["error"]) == (422, "not an image", "not an image")
    assert second == ANSWER[""]


def test_a_lone_bad_image_is_the_answer_of_the_whole_request() -> None:
    with pytest.raises(UnprocessableImage):
        render_classify(as_json(encoded(), candidate_labels="a,b"), [UnprocessableImage("not an image")])
