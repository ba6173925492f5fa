"""What a call is told that finds no endpoint, by the newest change."""

from typing import Any

import pytest

from contract.endpoint import EndpointChange
from contract.idempotency import now
from contract.problems import Conflict, PreconditionFailed
from lambdas.aws.clients import connect
from lambdas.aws.s3 import Store
from lambdas.stored.endpoint import Changes, endpoint_of

SINCE = "2026-11-29T18:00:00+00:00"


@pytest.fixture
def changes(bucket: Any) -> Changes:
    return Changes(Store(bucket.name, connect))


def change(**members: Any) -> EndpointChange:
    return EndpointChange.model_validate(
        {"id": "one", "action": "pause", "created": now(), "updated": now(), **members}
    )


@pytest.mark.parametrize(
    ("members", "state", "said"),
    [
        ({"state": "requested"}, "pausing", "the stage is being paused, as somebody asked for"),
        (
            {"state": "paused", "paused_since": SINCE, "paused_by": "idle"},
            "paused",
            f"since {SINCE}, as nobody",
        ),
        ({"action": "resume", "state": "verifying", "paused_since": SINCE}, "resuming", "is being resumed since"),
        (
            {
                "action": "resume",
                "state": "failed",
                "reason": "no capacity",
                "paused_since": SINCE,
                "paused_by": "budget",
            },
            "paused",
            "as its budget is spent (monthly_budget_usd): resuming it failed at",
        ),
    ],
)
def test_who_finds_no_endpoint_is_told_why_and_how_it_comes_back(
    changes: Changes, members: dict[str, Any], state: str, said: str
) -> None:
    changes.write(change(**members), None)
    problem = changes.why_absent()
    assert problem is not None and problem.body()["state"] == state and problem.retry_after_s
    assert said in problem.detail
    assert state == "resuming" or "POST /endpoint/resume" in problem.detail
    with pytest.raises(Conflict, match="an import needs the endpoint, and the stage"):
        changes.refuse("an import")


@pytest.mark.parametrize(
    "members", [{"state": "failed"}, *({"action": "resume", "state": state} for state in ("in service", "failed"))]
)
def test_where_there_should_be_an_endpoint_nothing_is_said(changes: Changes, members: dict[str, Any]) -> None:
    changes.write(change(**members), None)
    assert changes.why_absent() is None
    changes.refuse("an import")


def test_a_stage_that_was_never_paused_says_nothing(changes: Changes) -> None:
    assert changes.newest() is None and changes.why_absent() is None


def test_of_two_writers_one_comes_first(changes: Changes) -> None:
    changes.write(change(), None)
    seen = changes.newest()
    changes.write(change(id="two"), seen)
    for over in (None, seen):
        with pytest.raises(PreconditionFailed):
            changes.write(change(id="three"), over)


def test_an_endpoint_that_answers_is_asked_without_a_look_at_the_document(sagemaker: Any) -> None:
    # no bucket is there: a look would fail
    assert endpoint_of("wordsight-test", Store("absent-bucket", connect), sagemaker.connect).status() == "InService"
