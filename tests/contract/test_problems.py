import json

import pytest

from contract.problems import (
    PROBLEMS,
    BadRequest,
    Conflict,
    Problem,
    ProblemError,
    UnknownHeads,
    names_in_words,
    shorten,
    shown,
)


@pytest.mark.parametrize("problem", PROBLEMS.values())
def test_a_problem_is_rfc_9457_and_says_its_sentence_where_hugging_face_looks(problem: type[ProblemError]) -> None:
    body = problem("what went wrong", retry_after_s=2).body("request-1")
    assert Problem.model_validate(body).model_dump(exclude_none=True) == body
    assert body["status"] == problem.status and body["error"] == body["detail"] == "what went wrong"


def test_every_problem_is_found_by_its_status_and_has_a_type_of_its_own() -> None:
    assert PROBLEMS[400] is BadRequest and all(PROBLEMS[status].status == status for status in PROBLEMS)
    assert len({problem.slug for problem in PROBLEMS.values()}) == len(PROBLEMS) == 13


def test_heads_that_are_not_held_are_named_in_a_conflict_of_its_own_kind() -> None:
    body = UnknownHeads(["a" * 64, "b" * 64]).body("request-1")
    assert body["status"] == 409 and body["unknown_heads"] == ["a" * 64, "b" * 64]
    told = UnknownHeads.told(json.loads(json.dumps(body)))
    assert told is not None and told.heads == ("a" * 64, "b" * 64)
    assert UnknownHeads.told(Conflict("busy").body()) is None and PROBLEMS[409] is Conflict


def test_the_request_id_and_when_to_retry_are_told_only_where_they_are_known() -> None:
    assert BadRequest("no").body().keys() == {"type", "title", "status", "detail", "error"}
    body = BadRequest("no", retry_after_s=0).body("request-1")
    assert (body["instance"], body["retry_after_s"]) == ("request-1", 0)


def test_a_long_text_is_cut_and_marked_as_cut() -> None:
    assert shorten("a" * 60) == "a" * 60 and shorten("a" * 61) == "a" * 59 + "…" and shorten("abc", 2) == "a…"


@pytest.mark.parametrize("character", ["a", "é", "\N{FISH}", "\ud800", '"', "\0"])
def test_no_problem_is_larger_than_64_kb_or_holds_half_a_character(character: str) -> None:
    body = BadRequest(f"got {character * 4_000_000}").body("request-1")
    assert len(json.dumps(body)) < 64_000 and json.dumps(body, ensure_ascii=False).encode()
    assert str(body["detail"]).startswith("got ") and str(body["detail"]).endswith("…")


def test_a_value_is_quoted_by_the_beginning_of_its_json() -> None:
    nested: list[object] = []
    for _ in range(900):
        nested = [nested]
    assert shown({"a": [1, "é"]}) == '{"a": [1, "\\u00e9"]}' and shown("x" * 5_000_000) == '"' + "x" * 58 + "…"
    assert shown(nested) == "[" * 59 + "…" and shown({"k" * 99: 1}) == '{"' + "k" * 57 + "…"


def test_names_that_somebody_made_up_are_told_shortened_and_not_all_of_them() -> None:
    assert names_in_words(["a", "b"]) == "a, b" and names_in_words("abcdefg") == "a, b, c, d, e, and 2 more"
    assert names_in_words(["x" * 99]) == "x" * 59 + "…"
