import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.invocation import AnswerAttributes, InvocationAttributes
from contract.limits import MODEL_VERSION_HEADER


def test_both_directions_read_what_they_write() -> None:
    asked = InvocationAttributes("request 1 ü", deadline_epoch_ms=1_800_000_000_000)
    answered = AnswerAttributes("name@1;2=3", 2, 77, {"decode": 1.5, "model": 20.0})
    assert InvocationAttributes.decode(asked.encode()) == asked
    assert AnswerAttributes.decode(answered.encode()) == answered


def test_the_heads_of_32_questions_are_told_by_their_first_digits_beside_the_rest() -> None:
    heads = tuple(f"{number:064d}"[::-1] for number in range(32))
    timings_ms = dict.fromkeys(("parse", "decode", "queue", "model", "labels", "score", "total"), 12345.6)
    told = AnswerAttributes.decode(AnswerAttributes("v" * 256, 0, 77, timings_ms, heads).encode())
    assert told == AnswerAttributes("v" * 256, 0, 77, timings_ms, tuple(each[:12] for each in heads))


@given(st.text())
def test_they_fit_the_header_and_never_fail_on_foreign_text(text: str) -> None:
    encoded_text = AnswerAttributes(text, timings_ms={f"stage{n}": 1e6 for n in range(99)}).encode()
    assert len(encoded_text) <= 1024 and encoded_text.isascii() and encoded_text.isprintable()
    InvocationAttributes.decode(text)


@pytest.mark.parametrize("deadline", ["soon", "-1", "9" * 5000])
def test_a_deadline_that_is_no_time_is_none(deadline: str) -> None:
    assert InvocationAttributes.decode(f"deadline_epoch_ms={deadline}").deadline_epoch_ms is None


def test_a_truncated_text_is_a_warning() -> None:
    headers = AnswerAttributes("v1", 3, 77, {"model": 20.0}).headers()
    assert headers["warning"].startswith('299 wordsight "3 texts are longer than the 77 tokens')
    assert headers["x-model-version"] == "v1" and headers["server-timing"] == "model;dur=20.0"
    assert "warning" not in AnswerAttributes("v1").headers()


def test_a_version_that_no_header_can_hold_breaks_no_answer() -> None:
    headers = AnswerAttributes.decode(AnswerAttributes("one\r\nset-cookie: a=ü").encode()).headers()
    assert headers[MODEL_VERSION_HEADER] == "one??set-cookie: a=?"
