import pytest

from contract.problems import PROBLEMS, BadRequest, Problem, ProblemError, shorten


@pytest.mark.parametrize("problem", PROBLEMS.values())
def test_a_problem_is_rfc_9457_and_says_its_sentence_where_hugging_face_looks(problem: type[ProblemError]) -> None:
    body = problem("what went wrong", retry_after_s=2).body("request-1")
    assert Problem.model_validate(body).model_dump() == body
    assert body["status"] == problem.status and body["error"] == body["detail"] == "what went wrong"


def test_every_problem_is_found_by_its_status_and_has_a_type_of_its_own() -> None:
    assert PROBLEMS[400] is BadRequest and all(PROBLEMS[status].status == status for status in PROBLEMS)
    assert len({problem.slug for problem in PROBLEMS.values()}) == len(PROBLEMS) == 13


def test_the_request_id_and_when_to_retry_are_told_only_where_they_are_known() -> None:
    assert BadRequest("no").body().keys() == {"type", "title", "status", "detail", "error"}
    body = BadRequest("no", retry_after_s=0).body("request-1")
    assert (body["instance"], body["retry_after_s"]) == ("request-1", 0)


def test_a_long_text_is_cut_and_marked_as_cut() -> None:
    assert shorten("a" * 60) == "a" * 60 and shorten("a" * 61) == "a" * 59 + "…" and shorten("abc", 2) == "a…"
