import pytest

from contract.batches import (
    Batch,
    BatchBody,
    Done,
    batch_key,
    batch_prefix,
    done_key,
    done_prefix,
    done_shards,
    failure_key,
    lines_key,
    plan_key,
    problems_prefix,
    results_prefix,
    shard_key,
)
from contract.problems import BadRequest
from contract.validation import validate

ID = "20260101120000-0a1b2c"
ASKED = {"parameters": {"candidate_labels": "a, b"}}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (ASKED, "0 of s3_key and s3_prefix are given"),
        ({"s3_key": "uploads/a.jsonl", "s3_prefix": "uploads/", **ASKED}, "2 of s3_key and s3_prefix are given"),
        ({"s3_prefix": "tasks/", **ASKED}, "lie under uploads/ or collections/ or images/, got 'tasks/'"),
        ({"s3_prefix": "uploads/"}, "give one of task"),
        ({"s3_prefix": "uploads/", "task": "animal", **ASKED}, "give one of task"),
        ({"s3_prefix": "uploads/", "parameters": {"candidate_labels": "a"}}, "parameters: a lone label"),
        ({"s3_prefix": "uploads/" + "a" * 1024, "task": "animal"}, "s3_prefix: .* at most 1024"),
    ],
)
def test_a_batch_has_one_source_and_one_question(asked: dict[str, object], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        validate(BatchBody, asked)


def test_its_question_names_saved_tasks_or_is_the_parameters() -> None:
    assert validate(BatchBody, {"s3_prefix": "images/", "task": ["a", "b"]}).question.task_names == ["a", "b"]
    asked = validate(BatchBody, {"s3_key": "uploads/a.jsonl", **ASKED}).question
    assert [label.label for label in asked.candidate_labels] == ["a", "b"]


def test_each_attempt_is_an_execution_of_its_own() -> None:
    first = Batch(id=ID, created="", begun="", parameters={})
    assert [first.execution, first.model_copy(update={"attempt": 2}).execution] == [f"{ID}-1", f"{ID}-2"]


def test_everything_of_a_batch_lies_in_its_folder() -> None:
    assert [batch_key(ID), plan_key(ID), failure_key(ID)] == [
        f"batches/{ID}/{name}.json" for name in ("batch", "plan", "failure")
    ]
    assert shard_key(ID, 7) == f"batches/{ID}/shards/000007.json"
    assert lines_key(results_prefix(ID), 7) == f"batches/{ID}/results/000007.jsonl"
    assert lines_key(problems_prefix(ID), 7) == f"batches/{ID}/problems/000007.jsonl"


@pytest.mark.parametrize("place", [batch_prefix, batch_key, plan_key, results_prefix, done_prefix])
def test_what_is_no_batchs_id_is_no_part_of_a_key(place: object) -> None:
    with pytest.raises(BadRequest, match=r"the batch's id is '\.\./x', allowed: one that POST /batches has answered"):
        place("../x")  # type: ignore[operator]


def test_the_keys_alone_tell_what_came_of_the_shards() -> None:
    keys = [done_key(ID, 0, Done(490, 10)), done_key(ID, 12, Done(0, 3)), f"{done_prefix(ID)}notes"]
    assert all(key.startswith(done_prefix(ID)) for key in keys)
    assert done_shards(keys) == {0: Done(490, 10), 12: Done(0, 3)}
