from typing import Any

import pytest
from pydantic import ValidationError

from contract.batch_steps import BATCH_EVENT, BatchFailEvent, BatchShardEvent
from contract.steps import CaughtError


def test_a_step_of_a_batch_is_told_by_its_name() -> None:
    assert BATCH_EVENT.validate_python({"step": "shard", "id": "one", "shard": 3}) == BatchShardEvent(
        step="shard", id="one", shard=3
    )
    failed = BATCH_EVENT.validate_python({"step": "fail", "id": "one", "error": {"Error": "BadGateway", "Cause": "{}"}})
    assert isinstance(failed, BatchFailEvent) and failed.error == CaughtError(Error="BadGateway", Cause="{}")


@pytest.mark.parametrize("event", [{"step": "plans", "id": "one"}, {"step": "shard", "id": "one"}, {"id": "one"}])
def test_no_step_of_a_batch_is_guessed(event: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BATCH_EVENT.validate_python(event)
