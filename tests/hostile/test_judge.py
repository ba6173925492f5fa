import json

import pytest

from tests.hostile.judge import Answer, fault_of, operation

KIND = {"content-type": "application/problem+json"}


def problem(status: int, /, **members: object) -> Answer:
    body = {"status": status, "detail": "the label is given twice"} | members
    return Answer(status, KIND, json.dumps(body).encode())


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {}, b"[]"), problem(400), problem(503, retry_after_s=1), problem(504),
        Answer(503, {**KIND, "retry-after": "1"}, problem(503).body),
    ],
)  # fmt: skip
def test_what_the_description_allows_is_right(answer: Answer) -> None:
    assert fault_of("POST", "/classify", answer) is None


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(201, {}, b"{}"), "not documented"),
        (Answer(302, {}, b""), "not documented"),
        (Answer(0, {}, b""), "not documented"),
        (problem(500), "500"),
        (problem(502), "502"),
        (problem(503), "without retry-after"),
        (problem(400, detail="no"), "without its status or a sentence"),
        (problem(400, status=404), "without its status or a sentence"),
        (problem(400, detail="a" * 70_000), "bytes"),
        (Answer(400, {"content-type": "text/html"}, b"<h1>Bad Request</h1>"), "text/html"),
        (Answer(400, KIND, b"{"), "no JSON"),
    ],
)
def test_everything_else_is_a_fault(answer: Answer, why: str) -> None:
    assert why in str(fault_of("POST", "/classify", answer))


def test_an_operation_is_told_by_its_path() -> None:
    assert operation("GET", "/annotations/imports/1") == "GET /annotations/imports/{id}"
    assert operation("GET", "/annotations/1") == "GET /annotations/{id}"
    assert operation("POST", "/models/base/promote") == "POST /models/{version}/promote"
    assert operation("GET", "/clasify") is None
