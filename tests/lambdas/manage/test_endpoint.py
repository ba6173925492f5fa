"""Pause and resume through the API's function."""

from typing import Any

import pytest

from contract.endpoint import CHANGE_KEY, LIMIT_S, EndpointChange
from contract.idempotency import now
from tests.lambdas.classify.test_openapi import conforms
from tests.lambdas.gateway import Answer
from tests.lambdas.manage.conftest import MACHINE, MODEL_URI, Stage
from tests.lambdas.sagemaker import FUNCTION_ARN

LONG_AGO = "2026-11-22T12:00:00+00:00"


def stored(stage: Stage, **members: Any) -> EndpointChange:
    """A change as the state machine has written it down."""
    known = {"id": "first", "action": "pause", "state": "paused", "created": now(), "updated": now()}
    change = EndpointChange.model_validate({**known, **members})
    stage.bucket.put_object(Key=CHANGE_KEY, Body=change.model_dump_json())
    return change


def paused(stage: Stage) -> EndpointChange:
    stage.cloudformation.paused = "yes"
    return stored(stage, paused_since="2026-11-29T18:00:00+00:00", paused_by="schedule", served_version="one")


def asked(stage: Stage, action: str, **headers: str) -> Answer:
    return stage.ask("POST", f"/endpoint/{action}", **headers)


def test_a_stage_that_was_never_paused_tells_what_it_costs(stage: Stage) -> None:
    answer = stage.ask("GET", "/endpoint")
    assert answer.status == 200 and conforms(answer.json, "EndpointView")
    assert (answer.json["state"], answer.json["version"], answer.json["change"]) == ("in service", "base", None)
    assert (answer.json["usd_per_hour"], answer.json["usd_per_hour_in_service"]) == (0.25, 0.25)


def test_a_paused_stage_tells_since_when_by_whom_and_which_version_comes_back(stage: Stage) -> None:
    stage.trained()
    stage.cloudformation.model_uri = MODEL_URI
    paused(stage)
    told = stage.ask("GET", "/endpoint").json
    assert (told["state"], told["since"], told["by"]) == ("paused", "2026-11-29T18:00:00+00:00", "schedule")
    assert (told["version"], told["usd_per_hour"], told["usd_per_hour_in_service"]) == ("one", 0, 0.25)
    assert "by its schedule (office_hours): POST /endpoint/resume" in told["detail"]


def test_an_instance_without_a_known_price_costs_nobody_knows_what(stage: Stage) -> None:
    stage.settings = stage.settings.model_copy(update={"endpoint_usd_per_hour": 0.0})
    assert stage.ask("GET", "/endpoint").json["usd_per_hour"] is None


def test_a_function_costs_nothing_by_the_hour(stage: Stage) -> None:
    function = {"endpoint_usd_per_hour": 0.0, "endpoint_name": FUNCTION_ARN}
    stage.settings = stage.settings.model_copy(update=function)
    told = stage.ask("GET", "/endpoint").json
    assert (told["usd_per_hour"], told["usd_per_hour_in_service"]) == (0, 0)


def test_a_pause_is_begun_once(stage: Stage) -> None:
    answer = asked(stage, "pause", **{"idempotency-key": "one"})
    assert answer.status == 202 and conforms(answer.json, "EndpointChange")
    assert (answer.json["action"], answer.json["state"]) == ("pause", "requested")
    assert asked(stage, "pause", **{"idempotency-key": "one"}).json == answer.json
    assert asked(stage, "pause").json["id"] == answer.json["id"], "another request finds the first one at work"
    (execution,) = stage.stepfunctions.executions.values()
    assert execution["input"] == {"action": "pause", "by": "request", "at": answer.json["created"]}
    assert stage.ask("GET", "/endpoint").json["state"] == "pausing"


def test_what_is_so_already_is_answered_and_not_begun_again(stage: Stage) -> None:
    change = paused(stage)
    assert asked(stage, "pause").json == change.model_dump()
    assert not stage.stepfunctions.executions


def test_what_was_changed_by_hand_is_done_whatever_the_document_says(stage: Stage) -> None:
    stored(stage)
    assert asked(stage, "pause").json["id"] != "first"


def test_a_resume_knows_what_has_to_come_back(stage: Stage) -> None:
    paused(stage)
    change = asked(stage, "resume").json
    assert (change["action"], change["served_version"]) == ("resume", "one")
    assert stage.execution(change["id"], "Pause")["input"]["action"] == "resume"
    assert asked(stage, "pause").status == 409
    assert change["id"] in asked(stage, "pause").detail


def test_a_pause_calls_off_a_resume_that_waits_for_an_instance_and_no_other(stage: Stage) -> None:
    stage.cloudformation.paused = "yes"
    waiting = {"action": "resume", "by": "schedule", "served_version": "one", "paused_since": LONG_AGO}
    for members in ({"state": "requested"}, {"state": "updating", "attempt": 2}):
        stored(stage, **waiting, **members)
        assert asked(stage, "pause").status == 409
    stored(stage, **waiting, state="requested", attempt=2)
    answer = asked(stage, "pause")
    assert (answer.status, answer.json["action"], answer.json["by"]) == (202, "pause", "request")
    assert (answer.json["served_version"], answer.json["paused_since"]) == ("one", LONG_AGO)
    assert stage.execution(answer.json["id"], "Pause")["input"]["action"] == "pause"


@pytest.mark.parametrize("machine", ["Promotion", "Batch", "Import"])
def test_no_person_pauses_what_is_at_work(stage: Stage, machine: str) -> None:
    stage.stepfunctions.start_execution(stateMachineArn=f"{MACHINE}{machine}", name="busy", input="{}")
    answer = asked(stage, "pause")
    assert (answer.status, f"the {machine.lower()} busy is at work" in answer.detail) == (409, True)
    assert asked(stage, "resume").status == 202, "which a resume does not disturb"
    stage.execution("busy", machine)["status"] = "SUCCEEDED"


def test_a_deployment_is_waited_for(stage: Stage) -> None:
    stage.cloudformation.status, stage.cloudformation.polls = "UPDATE_ROLLBACK_IN_PROGRESS", 99
    answer = asked(stage, "pause")
    assert (answer.status, "UPDATE_ROLLBACK_IN_PROGRESS" in answer.detail) == (409, True)
    assert stage.ask("GET", "/endpoint").json["state"] == "changing"


def test_work_that_was_cut_off_does_not_keep_the_next_away(stage: Stage) -> None:
    change = stored(stage, state="updating", updated=LONG_AGO)
    execution = stage.stepfunctions.executions.setdefault(
        f"{MACHINE.replace(':stateMachine:', ':execution:')}Pause:{change.id}", {"status": "RUNNING"}
    )
    assert asked(stage, "resume").status == 409
    execution["status"] = "ABORTED"
    told = stage.ask("GET", "/endpoint").json["change"]
    assert (told["state"], "cut off" in told["reason"]) == ("failed", True)
    assert asked(stage, "resume").status == 202


def test_a_change_without_an_end_is_over_some_day(stage: Stage) -> None:
    assert not stored(stage, state="updating").is_over
    assert stored(stage, state="updating", created=LONG_AGO).is_over and LIMIT_S > 3600


def test_nothing_that_needs_the_endpoint_begins_while_there_is_none(stage: Stage) -> None:
    stage.bucket.put_object(Key="collections/one.jpg", Body=b"image")
    batch = {"s3_prefix": "collections/", "parameters": {"candidate_labels": ["cat", "dog"]}}
    begun = stage.ask("POST", "/batches", batch)
    assert begun.status == 202
    stage.execution(f"{begun.json['id']}-1", "Batch").update(status="ABORTED")
    paused(stage)
    for answer in (
        stage.ask("POST", "/batches", batch),
        stage.ask("POST", f"/batches/{begun.json['id']}/resume"),
        stage.ask("POST", "/models/base/promote"),
    ):
        assert (answer.status, "the stage is paused since 2026-11-29T18:00:00+00:00" in answer.detail) == (409, True)
    stage.bucket.Object(CHANGE_KEY).delete()
    assert "the stage is paused" in stage.ask("POST", "/models/base/promote").detail, "by hand, by a parameter"
