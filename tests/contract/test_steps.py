import json

import pytest

from contract.steps import CaughtError, TeachEvent


def test_what_aws_says_may_lack_a_cause() -> None:
    assert CaughtError.model_validate({"Error": "States.Timeout"}).cause == ""


@pytest.mark.parametrize(
    "said, event",
    [
        ([("Cat", None)], TeachEvent(labels=["cat"])),
        ([("cat", "pet"), ("sad", None), ("Sad", None)], TeachEvent(tasks=["pet"], labels=["sad"])),
        ([(None, None)], None),
        ([], None),
        ([(str(n) + "x" * 999, None) for n in range(64)], TeachEvent()),
    ],
)
def test_annotations_concern_the_task_that_they_name_or_else_those_with_their_label(
    said: list[tuple[str | None, str | None]], event: TeachEvent | None
) -> None:
    assert TeachEvent.about(said) == event


def test_an_event_is_never_larger_than_lambda_takes() -> None:
    labels = [("\U0001f600" * 230 + str(number), None) for number in range(64)]
    assert len(json.dumps(TeachEvent.about(labels).model_dump())) < 256_000  # type: ignore[union-attr]
