"""The machine of pauses and resumes: its permissions, its way through the steps, and its schedules."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from contract.endpoint import EndpointAsked
from stacks.api.pauses import LATER_S
from stacks.config import IDLE_LOOK_MIN
from stacks.machine import MAX_ATTEMPTS
from stacks.training.rollout import POLL_S
from tests.stacks.conftest import Assembly, flat
from tests.stacks.machines import Machine, ending, failure

GIVEN = {"action": "pause", "by": "schedule", "at": "2026-11-29T18:00:00Z"}
NOBODY: dict[str, list[Any]] = {"ListImport": [], "ListBatch": [], "ListPromotion": []}


def walk(
    dev: Assembly, monkeypatch: pytest.MonkeyPatch, running: dict[str, list[Any]] = NOBODY, **answers: list[Any]
) -> tuple[Machine, list[Any]]:
    """The machine, whose steps answer with these in turn, and what they are sent. `running`: by state, in turn."""
    sent: list[Any] = []

    def task(state: str, request: Any) -> Any:
        if state.startswith("List"):
            return {"Executions": [{"Name": name} for name in running[state].pop(0)] if running[state] else []}
        sent.append(request)
        answer = answers[request.get("step", "teach")].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"next": answer, "reason": "because"}

    return Machine(dev.api, "Pauses", task, monkeypatch), sent


def test_a_pause_begins_when_nothing_runs_and_is_waited_for(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, sent = walk(dev, monkeypatch, begin=["look"], update=["wait"], check=["wait", "over"])
    machine.run(GIVEN, name="evening")
    assert [each["step"] for each in sent] == ["begin", "update", "check", "check"]
    assert all((each["change"], each["asked"]) == ("evening", GIVEN) for each in sent)
    assert machine.slept_s == [POLL_S] * 2


@pytest.mark.parametrize("what", ["import", "batch", "promotion"])
def test_what_runs_is_waited_for_and_looked_at_again(dev: Assembly, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    running = {**{state: [] for state in NOBODY}, f"List{what.capitalize()}": [["one"], ["one"], []]}
    steps = {"begin": ["look"] * 3, "busy": ["later"] * 2, "update": ["over"]}
    machine, sent = walk(dev, monkeypatch, running, **steps)
    machine.run(GIVEN)
    assert [each["reason"] for each in sent if each["step"] == "busy"] == [f"the {what} one"] * 2
    assert machine.slept_s == [LATER_S] * 2


def test_waiting_has_an_end(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    running = {**NOBODY, "ListBatch": [["one"]]}
    machine, sent = walk(dev, monkeypatch, running, begin=["look"], busy=["failed"])
    assert ending(machine, GIVEN) == ("Wordsight.NotChanged", "because")
    assert [each["step"] for each in sent] == ["begin", "busy"]


def test_a_resume_is_verified_and_what_was_said_meanwhile_is_taught(
    dev: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = {"begin": ["update"], "update": ["wait"], "check": ["verify"], "verify": ["resumed"], "teach": [None]}
    machine, sent = walk(dev, monkeypatch, **steps)
    machine.run({**GIVEN, "action": "resume"})
    assert [each.get("step") for each in sent] == ["begin", "update", "check", "verify", None]
    assert sent[-1] == {"tasks": [], "labels": []}


def test_a_resume_that_finds_no_instance_begins_again_later(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {"begin": ["update"] * 2, "update": ["wait"] * 2, "check": ["later", "verify"], "verify": ["over"]}
    machine, sent = walk(dev, monkeypatch, **steps)
    machine.run({**GIVEN, "action": "resume"})
    assert [each["step"] for each in sent] == ["begin", "update", "check", "begin", "update", "check", "verify"]
    assert machine.slept_s == [POLL_S, LATER_S, POLL_S]


def test_what_is_so_already_ends_at_once(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, sent = walk(dev, monkeypatch, begin=["over"])
    machine.run(GIVEN)
    assert len(sent) == 1


def test_a_step_that_can_not_be_taken_is_written_down(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = failure("ServiceUnavailable", json.dumps({"errorMessage": "CloudFormation did not answer: try again"}))
    machine, sent = walk(dev, monkeypatch, begin=["update"], update=[silent] * (MAX_ATTEMPTS + 1), report=["failed"])
    assert ending(machine, GIVEN) == ("Wordsight.NotChanged", "because")
    assert (sent[-1]["step"], sent[-1]["reason"]) == ("report", "CloudFormation did not answer: try again")


def test_its_role_may_list_what_runs_and_pass_no_role(dev: Assembly) -> None:
    statements = list(dev.api.statements("PausesMachineRole"))
    listed = {arn for actions, arns, _ in statements for arn in arns if "states:ListExecutions" in actions}
    assert len(listed) == 3 and not [arn for arn in listed if "Pauses" in arn]
    assert {action.partition(":")[0] for actions, *_ in statements for action in actions} == {
        *("lambda", "states", "logs", "xray")
    }


def test_a_plain_stage_is_paused_by_hand_only(dev: Assembly) -> None:
    assert not dev.api.of_type("AWS::Scheduler::Schedule")
    assert not [id for id in dev.api.of_type("AWS::IAM::Role") if "Schedule" in id]


def test_a_stage_with_office_hours_is_closed_every_evening_and_opened_on_its_days(prod: Assembly) -> None:
    found = {}
    for each in (each["Properties"] for each in prod.api.of_type("AWS::Scheduler::Schedule").values()):
        asked = EndpointAsked.model_validate_json(each["Target"]["Input"])
        assert asked.at == "<aws.scheduler.scheduled-time>"
        assert (each["FlexibleTimeWindow"], each["Target"]["RetryPolicy"]) == (
            {"Mode": "OFF"},
            {"MaximumEventAgeInSeconds": 3600},
        )
        found[asked.action, asked.by] = each["ScheduleExpression"], each["ScheduleExpressionTimezone"]
    assert found == {
        ("pause", "schedule"): ("cron(30 19 * * ? *)", "Europe/Berlin"),
        ("resume", "schedule"): ("cron(0 7 ? * MON,TUE,WED,THU,FRI *)", "Europe/Berlin"),
        ("pause", "idle"): (f"rate({IDLE_LOOK_MIN} minutes)", "Europe/Berlin"),
    }


def test_the_time_that_a_schedule_tells_is_read() -> None:
    assert datetime.fromisoformat(GIVEN["at"]) == datetime(2026, 11, 29, 18, tzinfo=UTC)


def test_a_schedule_may_start_the_machine_and_do_nothing_else(prod: Assembly) -> None:
    (machine,) = (id for id in prod.api.of_type("AWS::StepFunctions::StateMachine") if id.startswith("Pauses"))
    assert list(prod.api.statements("PausesScheduleRole")) == [(("states:StartExecution",), (f"${{{machine}}}",), None)]
    for each in prod.api.of_type("AWS::Scheduler::Schedule").values():
        target = each["Properties"]["Target"]
        assert flat(target["Arn"]) == f"${{{machine}}}" and "PausesScheduleRole" in flat(target["RoleArn"])
        assert [name for name in each["DependsOn"] if "DefaultPolicy" in name], "or it may fire before it may start"
