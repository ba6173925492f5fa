import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from contract.steps import (
    BATCH_EVENT,
    BatchFailEvent,
    BatchShardEvent,
    CaughtError,
    ImportEvent,
    RolloutEvent,
    TeachEvent,
)


def test_a_step_of_a_batch_is_told_by_its_name() -> None:
    assert BATCH_EVENT.validate_python({"step": "shard", "id": "one", "shard": 3}) == BatchShardEvent(
        step="shard", id="one", shard=3
    )
    failed = BATCH_EVENT.validate_python({"step": "fail", "id": "one", "error": {"Error": "BadGateway", "Cause": "{}"}})
    assert isinstance(failed, BatchFailEvent) and failed.error == CaughtError(Error="BadGateway", Cause="{}")


@pytest.mark.parametrize(
    ("model", "event"),
    [
        (RolloutEvent, {"step": "update"}),
        (RolloutEvent, {"step": "undo", "promotion": "one"}),
        (RolloutEvent, {"step": "update", "promotion": "one", "promotion_id": "one"}),
        (ImportEvent, {"id": "one", "error": {"Error": "BadGateway"}}),
    ],
)
def test_an_event_with_a_member_missing_misspelt_or_too_many_is_refused(
    model: type[BaseModel], event: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(event)


@pytest.mark.parametrize("event", [{"step": "plans", "id": "one"}, {"step": "shard", "id": "one"}, {"id": "one"}])
def test_no_step_of_a_batch_is_guessed(event: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BATCH_EVENT.validate_python(event)


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
