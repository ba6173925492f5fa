"""Pauses and resumes of one stage, step by step as the state machine takes them."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.endpoint import EndpointAsked, EndpointChange, standing
from contract.rollout_steps import EndpointEvent
from lambdas.rollout.pausing import WAIT_LIMIT, Pausing
from tests.lambdas.control_plane import check, client_error
from tests.lambdas.rollout.conftest import NEW_URI, OLD_URI, Stage

ID = "20261129120000-abcdef"
NOT_FOUND = (400, "ValidationException", {"message": 'Could not find endpoint "wordsight-test".'})


@dataclass
class CloudWatch:
    """Counts one endpoint's invocations, of which a test has made some; `told`: whose actions were switched how."""

    invocations: list[datetime] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    def disable_alarm_actions(self, **request: Any) -> None:
        check("cloudwatch", "DisableAlarmActions", request)
        self.told.append(("off", *request["AlarmNames"]))

    def enable_alarm_actions(self, **request: Any) -> None:
        check("cloudwatch", "EnableAlarmActions", request)
        self.told.append(("on", *request["AlarmNames"]))

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        assert (request["Namespace"], request["MetricName"]) == ("AWS/SageMaker", "Invocations")
        within = [each for each in self.invocations if request["StartTime"] <= each <= request["EndTime"]]
        return {"Datapoints": [{"Sum": float(len(within))}] if within else []}


@dataclass
class Switch:
    """The steps, on a stage whose endpoint is there while its stack is not paused."""

    stage: Stage
    cloudwatch: CloudWatch = field(default_factory=CloudWatch)
    by: Any = "request"
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    lingers: bool = False
    """Whether an endpoint stays behind that CloudFormation has let go of."""
    fault: Any = None
    """Of every call of an endpoint that is there."""

    def connect(self, service: str) -> Any:
        if service == "cloudwatch":
            return self.cloudwatch
        if service.startswith("sagemaker"):
            absent = self.stage.cloudformation.paused == "yes" and not self.lingers
            self.stage.sagemaker.failure = NOT_FOUND if absent else self.fault
        return self.stage.connect(service)

    def take(self, step: Any, action: Any, id: str = ID, **more: Any) -> Any:
        asked = EndpointAsked(action=action, by=self.by, at=self.at.isoformat())
        event = EndpointEvent(step=step, change=id, asked=asked, **more)
        return Pausing(self.stage.settings, self.connect).step(event)

    def run(self, action: Any, id: str = ID) -> Any:
        """Begin, and take the steps that are said to come next, as if nothing else ran. The last answer."""
        answer = self.take("begin", action, id)
        for _ in range(20):
            if answer.next in ("over", "resumed", "failed", "later"):
                return answer
            step = {"look": "update", "wait": "check"}.get(answer.next, answer.next)
            answer = self.take(step, action, id)
        raise AssertionError(answer)

    def write(self, **changes: str) -> None:
        """Let the document say something else."""
        body = self.change.model_copy(update=changes).model_dump_json()
        self.stage.bucket.put_object(Key="endpoint/change.json", Body=body.encode())

    @property
    def change(self) -> EndpointChange:
        document = self.stage.bucket.Object("endpoint/change.json").get()["Body"].read()
        return EndpointChange.model_validate_json(document)


@pytest.fixture
def switch(stage: Stage) -> Switch:
    return Switch(stage)


def test_a_pause_changes_one_parameter_and_is_over_when_the_endpoint_is_gone(switch: Switch) -> None:
    assert switch.run("pause").next == "over"
    change = switch.change
    assert (change.id, change.state, change.by, change.served_version) == (ID, "paused", "request", "old")
    assert change.paused_since is not None and change.paused_by == "request"
    (update,) = switch.stage.cloudformation.updates
    assert update["Parameters"][0] == {"ParameterKey": "Paused", "ParameterValue": "yes"}
    assert {"ParameterKey": "ModelUri", "UsePreviousValue": True} in update["Parameters"]


def test_an_endpoint_that_stays_behind_costs_and_is_told_of(switch: Switch) -> None:
    switch.lingers = True
    answer = switch.run("pause")
    assert answer.next == "failed" and "aws sagemaker delete-endpoint --endpoint-name wordsight-test" in answer.reason
    assert switch.change.state == "failed"


def test_a_resume_brings_back_the_version_that_was_live_and_asks_it(switch: Switch) -> None:
    switch.run("pause")
    assert switch.run("resume", "second").next == "resumed"
    change = switch.change
    assert (change.id, change.state, change.paused_since) == ("second", "in service", None)
    assert switch.stage.cloudformation.model_uri == OLD_URI
    assert [each["Parameters"][0]["ParameterValue"] for each in switch.stage.cloudformation.updates] == ["yes", "no"]


def test_a_paused_stage_does_not_ring_and_one_that_is_back_or_was_never_gone_does(switch: Switch) -> None:
    alarm = "wordsight-test-EndpointSilent"
    switch.run("pause")
    assert switch.cloudwatch.told == [("off", alarm)]
    switch.run("resume", "second")
    assert switch.cloudwatch.told == [("off", alarm), ("on", alarm)]
    switch.stage.cloudformation.broken["yes"] = "the endpoint can't be deleted"
    assert switch.run("pause", "third").next == "failed"
    assert switch.cloudwatch.told[2:] == [("off", alarm), ("on", alarm)]


def test_another_model_than_the_one_that_was_live_is_a_failed_resume(switch: Switch) -> None:
    switch.run("pause")
    switch.write(served_version="newer")
    answer = switch.run("resume", "second")
    assert answer.next == "failed" and "the endpoint serves 'old' and not 'newer'" in answer.reason
    assert (switch.change.state, switch.change.paused_since) == ("failed", None)


def test_what_was_deployed_during_a_pause_is_what_comes_back(switch: Switch) -> None:
    switch.run("pause")
    switch.stage.cloudformation.model_uri = NEW_URI
    assert switch.run("resume", "second").next == "resumed"


def test_a_pause_that_is_repeated_remembers_the_version(switch: Switch) -> None:
    for step in ("begin", "update", "update"):
        switch.take(step, "pause")
        switch.fault = (500, "InternalFailure", {}) if step == "update" else None
    assert switch.change.served_version == "old"


def test_what_the_budget_has_paused_stays_so_until_the_month_is_over_or_a_person_resumes_it(switch: Switch) -> None:
    switch.by = "schedule"
    switch.run("pause")
    switch.by = "budget"
    assert switch.run("pause", "second").reason == "it is so already"
    assert switch.change.paused_by == "budget"
    switch.by = "schedule"
    assert "budget" in switch.run("resume", "third").reason
    since = datetime.fromisoformat(switch.change.paused_since or "")
    switch.write(paused_since=(since - timedelta(days=32)).isoformat())
    assert switch.run("resume", "fourth").next == "resumed"


def test_what_no_person_waits_for_waits_for_another_pause_that_may_yet_fail(switch: Switch) -> None:
    assert switch.take("begin", "pause").next == "look"
    switch.by = "budget"
    assert switch.take("begin", "pause", "second").next == "later"


def test_a_resume_without_capacity_says_why_and_leaves_the_stage_paused(switch: Switch) -> None:
    switch.run("pause")
    since = switch.change.paused_since
    switch.stage.cloudformation.broken["no"] = "Unable to provision requested ML compute capacity"
    answer = switch.run("resume", "second")
    assert (answer.next, "Unable to provision requested ML compute capacity" in answer.reason) == ("failed", True)
    assert (switch.change.state, switch.change.paused_since) == ("failed", since)
    switch.stage.cloudformation.broken.clear()
    assert switch.run("resume", "third").next == "resumed"


NO_INSTANCE = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error"


@pytest.fixture
def scarce(switch: Switch) -> Switch:
    """A stage that its schedule has paused, when AWS has no instance free."""
    switch.by = "schedule"
    switch.run("pause")
    switch.stage.cloudformation.broken["no"] = NO_INSTANCE
    return switch


def test_a_stack_that_could_not_be_rolled_back_is_not_tried_again_and_says_why(scarce: Switch) -> None:
    scarce.run("resume", "morning")
    scarce.stage.cloudformation.status = "UPDATE_ROLLBACK_FAILED"
    answer = scarce.take("check", "resume", "morning")
    assert (answer.next, scarce.change.state) == ("failed", "failed")
    assert "UPDATE_ROLLBACK_FAILED" in answer.reason and NO_INSTANCE in answer.reason


def test_why_there_is_no_endpoint_is_told_during_every_attempt_but_the_first(scarce: Switch) -> None:
    scarce.run("resume", "morning")
    why = scarce.change.reason
    assert scarce.take("begin", "resume", "morning").next == "update"
    cloudformation = scarce.stage.cloudformation
    cloudformation.status, cloudformation.polls, cloudformation._left = "UPDATE_IN_PROGRESS", 2, 2
    assert scarce.take("update", "resume", "morning").next == "later", "a deployment has begun"
    assert why and scarce.change.reason == why
    cloudformation.status = "UPDATE_ROLLBACK_COMPLETE"
    cloudformation.broken.clear()
    assert scarce.take("update", "resume", "morning").next == "wait"
    assert (scarce.change.state, scarce.change.reason) == ("updating", why)
    while (answer := scarce.take("check", "resume", "morning")).next == "wait":
        pass
    assert (answer.next, scarce.take("verify", "resume", "morning").next) == ("verify", "resumed")
    assert scarce.change.reason is None


def test_a_resume_that_waited_in_vain_is_not_called_a_pause(scarce: Switch) -> None:
    scarce.take("begin", "resume", "morning")
    scarce.at -= WAIT_LIMIT
    scarce.take("busy", "resume", "morning", reason="a deployment")
    assert scarce.change.reason == "a deployment still ran 2:00:00 after the resume was asked for"


def test_the_schedules_resume_without_capacity_is_tried_again_and_says_so(scarce: Switch) -> None:
    for attempt in (2, 3):
        assert scarce.run("resume", "morning").next == "later"
        assert (scarce.change.state, scarce.change.attempt) == ("requested", attempt)
    found = standing(scarce.change)
    assert found and found.state == "resuming" and NO_INSTANCE in found.sentence and "tried again" in found.sentence
    scarce.stage.cloudformation.broken.clear()
    assert scarce.run("resume", "morning").next == "resumed"
    assert (scarce.change.state, scarce.change.reason) == ("in service", None)
    tokens = [each["ClientRequestToken"] for each in scarce.stage.cloudformation.updates]
    assert len({*tokens}) == len(tokens) == 4, "CloudFormation begins one token's update once"
    assert scarce.cloudwatch.told[-1][0] == "on"


def test_that_has_an_end_which_rings(scarce: Switch) -> None:
    scarce.run("resume", "morning")
    scarce.at -= WAIT_LIMIT
    answer = scarce.run("resume", "morning")
    assert (answer.next, scarce.change.state) == ("failed", "failed")
    assert NO_INSTANCE in answer.reason and "It was attempt 2, 2:00:00 after" in answer.reason
    assert scarce.change.paused_since is not None


def test_only_what_may_pass_is_tried_again(scarce: Switch) -> None:
    scarce.stage.cloudformation.broken["no"] = "Could not find model data"
    assert scarce.run("resume", "morning").next == "failed"


def test_a_pause_that_comes_while_a_resume_is_tried_again_waits(scarce: Switch) -> None:
    scarce.run("resume", "morning")
    assert scarce.take("begin", "pause", "evening").next == "later"


@pytest.mark.parametrize("by", ["budget", "request"])
def test_the_budget_and_a_person_call_off_a_resume_that_waits_for_an_instance(scarce: Switch, by: str) -> None:
    since, updates = scarce.change.paused_since, len(scarce.stage.cloudformation.updates)
    scarce.at -= timedelta(minutes=10)
    scarce.run("resume", "morning")
    scarce.stage.cloudformation.broken.clear()
    scarce.by = by
    assert scarce.run("pause", "spent").next == "over"
    change = scarce.change
    assert (change.id, change.state, change.paused_by, change.paused_since) == ("spent", "paused", by, since)
    assert change.served_version == "old", "which a resume has to bring back"
    scarce.by = "schedule"
    for step in ("begin", "update"):  # wherever it was
        answer = scarce.take(step, "resume", "morning")
        assert (answer.next, answer.reason) == ("over", "the pause spent was asked for after it")
    assert scarce.change == change and len(scarce.stage.cloudformation.updates) == updates + 1
    scarce.at = datetime.now(UTC)
    assert scarce.run("resume", "next morning").next == ("over" if by == "budget" else "resumed")


def test_what_the_budget_says_during_an_attempt_holds_when_that_has_failed(scarce: Switch) -> None:
    for step in ("begin", "update"):
        scarce.take(step, "resume", "morning")
    scarce.by = "budget"
    assert scarce.take("begin", "pause", "spent").next == "later"
    scarce.by = "schedule"
    while (answer := scarce.take("check", "resume", "morning")).next == "wait":
        pass
    scarce.by = "budget"
    assert (answer.next, scarce.run("pause", "spent").next) == ("later", "over")
    assert scarce.change.paused_by == "budget"


def test_a_deployment_that_has_begun_meanwhile_ends_before_the_pause_that_called_a_resume_off(scarce: Switch) -> None:
    scarce.run("resume", "morning")
    cloudformation = scarce.stage.cloudformation
    cloudformation.status, cloudformation.polls, cloudformation._left = "UPDATE_IN_PROGRESS", 99, 99
    scarce.by = "budget"
    before = scarce.change
    assert scarce.run("pause", "spent").next == "later" and scarce.change.id == "spent"
    cloudformation.status = "UPDATE_COMPLETE"
    assert scarce.run("pause", "spent").next == "over" and scarce.change.state == "paused"
    assert (scarce.change.served_version, scarce.change.paused_since) == (before.served_version, before.paused_since)
    assert scarce.change.served_version and scarce.change.reason is None


def test_a_resume_that_was_called_off_and_is_begun_once_more_asks_cloudformation_anew(scarce: Switch) -> None:
    scarce.run("resume", "morning")
    for action, id in (("pause", "call-off"), ("resume", "again")):
        scarce.by = "request"
        scarce.run(action, id)
    scarce.by = "schedule"
    time.sleep(1)  # moments are told in seconds
    scarce.run("resume", "morning")
    tokens = [each["ClientRequestToken"] for each in scarce.stage.cloudformation.updates]
    assert len({*tokens}) == len(tokens)


def test_a_spent_budget_is_asked_for_before_every_attempt(scarce: Switch) -> None:
    scarce.run("resume", "morning")
    scarce.write(paused_by="budget")
    assert scarce.run("resume", "morning").reason == "its budget of this month is spent"
    assert (scarce.change.state, scarce.change.reason) == ("failed", "its budget of this month is spent")


def test_a_broken_endpoint_can_be_paused_and_what_it_served_is_not_known_then(switch: Switch) -> None:
    switch.fault = (500, "InternalFailure", {})
    switch.take("begin", "pause")
    assert switch.take("update", "pause").next == "wait" and switch.change.served_version is None


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_what_is_so_already_is_over_at_once(switch: Switch, action: str) -> None:
    switch.by = "schedule"
    if action == "pause":
        switch.run("pause")
    before = len(switch.stage.cloudformation.updates)
    assert switch.run(action, "again").next == "over"
    assert len(switch.stage.cloudformation.updates) == before


def test_of_two_at_once_one_wins_and_the_other_is_over_or_waits(switch: Switch) -> None:
    assert switch.take("begin", "pause").next == "look"
    assert switch.take("begin", "pause", "other").next == "over"
    assert switch.take("begin", "resume", "other").next == "later"
    switch.at -= 2 * WAIT_LIMIT
    assert switch.take("begin", "resume", "other").next == "failed"
    assert switch.change.id == ID


def test_a_deployment_is_waited_for(switch: Switch) -> None:
    switch.stage.cloudformation.status, switch.stage.cloudformation.polls = "UPDATE_IN_PROGRESS", 99
    switch.stage.cloudformation._left = 99
    assert switch.take("begin", "pause").next == "later"


def test_a_step_of_a_change_that_is_not_the_newest_changes_nothing(switch: Switch) -> None:
    switch.run("pause")
    assert switch.take("update", "resume", "older").next == "failed"
    assert switch.change.id == ID and switch.change.state == "paused"


def test_what_runs_fails_a_persons_pause_and_is_waited_for_by_every_other_one(switch: Switch) -> None:
    switch.take("begin", "pause")
    assert switch.take("busy", "pause", reason="the batch one").next == "failed"
    assert switch.change.reason == "the batch one runs"
    switch.by = "schedule"
    switch.take("begin", "pause", "second")
    assert switch.take("busy", "pause", "second", reason="the batch one").next == "later"
    assert (switch.change.state, switch.change.reason) == ("requested", "it waits for the end of the batch one")
    assert switch.take("begin", "pause", "second").next == "look"
    switch.at -= 2 * WAIT_LIMIT
    assert switch.take("busy", "pause", "second", reason="the batch one").next == "failed"


def test_what_a_step_could_not_do_is_written_down(switch: Switch) -> None:
    switch.take("begin", "pause")
    assert switch.take("report", "pause", reason="the function died").next == "failed"
    assert (switch.change.state, switch.change.reason) == ("failed", "the function died")


def test_also_while_cloudformation_is_silent(switch: Switch) -> None:
    switch.take("begin", "pause")

    def silent(**_: Any) -> Any:
        raise client_error("DescribeStacks", "Throttling", "Rate exceeded")

    switch.stage.cloudformation.describe_stacks = silent  # type: ignore[method-assign]
    assert switch.take("report", "pause", reason="CloudFormation did not answer").next == "failed"


HOUR = timedelta(minutes=60)
"""`pause_after_idle_min` of the stage."""


@pytest.mark.parametrize(("ago_min", "becomes"), [(None, "look"), (61, "look"), (59, "over"), (2, "over")])
def test_an_endpoint_that_was_used_lately_stays(switch: Switch, ago_min: int | None, becomes: str) -> None:
    switch.by = "idle"
    if ago_min is not None:
        switch.cloudwatch.invocations.append(switch.at - timedelta(minutes=ago_min))
    assert switch.take("begin", "pause").next == becomes


def test_an_endpoint_that_has_just_come_or_changed_stays(switch: Switch) -> None:
    switch.by = "idle"
    switch.stage.cloudformation.changed = switch.at - timedelta(minutes=59)
    assert switch.take("begin", "pause").next == "over"
    switch.at += timedelta(minutes=2)
    assert switch.take("begin", "pause").next == "look"


def test_a_resume_counts_from_when_the_endpoint_was_there(switch: Switch) -> None:
    switch.run("pause")
    switch.run("resume", "second")
    switch.by = "idle"
    switch.at = datetime.now(UTC) + HOUR - timedelta(minutes=1)
    assert switch.take("begin", "pause", "third").next == "over"
    switch.at += timedelta(minutes=2)
    assert switch.take("begin", "pause", "third").next == "look"


def test_what_is_used_while_its_pause_waits_stays(switch: Switch) -> None:
    switch.by = "idle"
    switch.take("begin", "pause")
    switch.take("busy", "pause", reason="the import one")
    switch.at -= timedelta(minutes=30)
    switch.cloudwatch.invocations.append(switch.at + timedelta(minutes=10))
    assert switch.take("begin", "pause").next == "failed"
    assert "it was used" in str(switch.change.reason)


def test_without_the_knob_nothing_is_idle(switch: Switch) -> None:
    switch.by = "idle"
    switch.stage.settings = switch.stage.settings.model_copy(update={"pause_after_idle_min": 0})
    assert switch.take("begin", "pause").next == "over"
