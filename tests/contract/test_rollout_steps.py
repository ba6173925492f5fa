from typing import Any

import pytest
from pydantic import ValidationError

from contract.endpoint import EndpointAsked
from contract.rollout_steps import ROLLOUT_STEP, EndpointEvent, RolloutEvent

ASKED = {"action": "pause", "by": "schedule", "at": "2026-11-29T18:00:00Z"}


def test_a_step_is_told_by_what_it_changes() -> None:
    assert ROLLOUT_STEP.validate_python({"step": "update", "promotion": "one"}) == RolloutEvent(
        step="update", promotion="one"
    )
    pausing = ROLLOUT_STEP.validate_python({"step": "begin", "change": "one", "asked": ASKED})
    assert pausing == EndpointEvent(step="begin", change="one", asked=EndpointAsked.model_validate(ASKED))


@pytest.mark.parametrize(
    "event",
    [
        {"step": "update"},
        {"step": "undo", "promotion": "one"},
        {"step": "update", "promotion": "one", "promotion_id": "one"},
        {"step": "begin", "change": "one", "asked": {**ASKED, "by": "chance"}},
    ],
)
def test_an_event_with_a_member_missing_misspelt_or_too_many_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ROLLOUT_STEP.validate_python(event)
