import pytest

from contract.problems import BadRequest, PayloadTooLarge
from contract.tasks import MAX_TASK_BYTES, Task, task_key, task_name
from contract.validation import validate


def test_a_task_is_kept_as_it_was_written() -> None:
    written = {"candidate_labels": "cat, dog", "description": "pets"}
    kept = validate(Task, written).document()
    assert kept == {"candidate_labels": [{"label": "cat"}, {"label": "dog"}], "description": "pets"}
    assert validate(Task, kept) == validate(Task, written)


def test_a_task_has_no_more_sentences_than_one_request() -> None:
    labels = [str(number) for number in range(9_000)]
    with pytest.raises(BadRequest, match="27000 prompts"):
        validate(Task, {"candidate_labels": labels, "hypothesis_template": ["{}", "a {}", "b {}"]})


def test_a_task_is_small_enough_to_be_read_with_every_request() -> None:
    labels = [{"label": str(number), "annotations": ["x" * 1000]} for number in range(MAX_TASK_BYTES // 1000)]
    with pytest.raises(PayloadTooLarge, match="at most 1,000,000 are kept: use fewer labels"):
        validate(Task, {"candidate_labels": labels}).document()


def test_a_tasks_name_is_a_part_of_its_key() -> None:
    assert task_key("a-1_b") == "tasks/a-1_b.json" and task_name("tasks/a-1_b.json") == "a-1_b"


@pytest.mark.parametrize("name", ["", "Animal", "_a", "a/b", "a" * 64])
def test_what_is_no_name_is_told_what_is(name: str) -> None:
    with pytest.raises(BadRequest, match="a saved task's name has 1 to 63 lower-case letters"):
        task_key(name)
