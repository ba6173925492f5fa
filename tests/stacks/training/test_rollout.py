"""The state machine of promotions: its permissions, and its way through the steps."""

import json
import re
from typing import Any

import pytest

from stacks.machine import MAX_ATTEMPTS
from stacks.training.rollout import POLL_S, TEACH_RETRIES
from tests.stacks.conftest import ACCOUNT, ARTIFACTS, DATA, ENDPOINT, SERVING_STACK, Assembly, flat, granted
from tests.stacks.machines import Machine, ending, failure

SILENT_ALARM = ACCOUNT % "cloudwatch" + "alarm:wordsight-dev-EndpointSilent"
GIVEN = {"promotion": "20261122120000-abcdef"}
TEACH_ALL: dict[str, list[str]] = {"tasks": [], "labels": []}


def test_its_function_may_ask_one_endpoint_and_keep_promotions_and_what_becomes_of_pauses(dev: Assembly) -> None:
    of_models = {f"{ARTIFACTS}/{prefix}/*" for prefix in ("models", "registry", "promotions")}
    assert granted(dev.training, "Rollout", bound=("cloudformation:UpdateStack", "iam:PassRole")) == {
        "cloudformation:DescribeStacks": {SERVING_STACK},
        "cloudformation:DescribeStackEvents": {SERVING_STACK},
        "sagemaker:InvokeEndpoint": {ENDPOINT},
        "sagemaker:DescribeEndpoint": {ENDPOINT},
        "s3:GetObject": of_models | {f"{DATA}/endpoint/*"},
        "s3:PutObject": {f"{ARTIFACTS}/promotions/*", f"{DATA}/endpoint/*"},
        "s3:ListBucket": {ARTIFACTS, DATA},
        "cloudwatch:DisableAlarmActions": {SILENT_ALARM},
        "cloudwatch:EnableAlarmActions": {SILENT_ALARM},
    }


def test_it_names_the_serving_stack_without_a_reference_to_it(dev: Assembly) -> None:
    function = dev.training.the("AWS::Lambda::Function", "Rollout")
    assert function["Environment"]["Variables"]["SERVING_STACK"] == "WordsightServing-dev"
    assert "WordsightServing-dev." not in flat(json.dumps(dev.training.body))
    assert (dev.directory / "WordsightServing-dev.template.json").is_file()


def test_its_function_may_update_one_stack_if_cloudformation_acts_with_one_narrow_role(dev: Assembly) -> None:
    (role,) = (f"${{{id}.Arn}}" for id in dev.training.of_type("AWS::IAM::Role") if id.startswith("RolloutUpdateRole"))
    bound = {
        actions: (resources, condition)
        for actions, resources, condition in dev.training.statements("RolloutFunctionRole")
        if condition is not None
    }
    assert flat(bound.pop(("cloudformation:UpdateStack",))) == flat(
        ((SERVING_STACK,), {"StringEquals": {"cloudformation:RoleArn": {"Fn::GetAtt": [role[2:-5], "Arn"]}}})
    )
    passed = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    assert bound == {("iam:PassRole",): ((role,), passed)}
    function = dev.training.the("AWS::Lambda::Function", "Rollout")
    assert flat(function["Environment"]["Variables"]["UPDATE_ROLE_ARN"]) == role


def test_its_machine_may_pass_no_role(dev: Assembly) -> None:
    assert not [actions for actions, *_ in dev.training.statements("RolloutMachineRole") if "iam:PassRole" in actions]


def walk(dev: Assembly, monkeypatch: pytest.MonkeyPatch, **answers: list[Any]) -> tuple[Machine, list[Any]]:
    """The machine, whose steps answer with these in turn, and what they are sent."""
    sent: list[Any] = []

    def task(state: str, request: Any) -> Any:
        sent.append(request)
        answer = answers[request.get("step", "teach")].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"next": answer, "reason": "because"}

    return Machine(dev.training, "Rollout", task, monkeypatch), sent


def test_a_promotion_is_waited_for_and_verified(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"update": ["wait"], "check": ["wait", "wait", "verify"], "verify": ["live"], "teach": [None]}
    machine, sent = walk(dev, monkeypatch, **answers)
    machine.run(GIVEN)
    assert [each["step"] for each in sent[:-1]] == ["update", "check", "check", "check", "verify"]
    assert all(each["promotion"] == GIVEN["promotion"] for each in sent[:-1])
    assert sent[-1] == TEACH_ALL, "all tasks are taught for the new version"
    assert machine.slept_s == [POLL_S] * 3


MAX_EVENTS = 25_000
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""


def test_a_promotion_times_out_before_its_history_is_full(dev: Assembly) -> None:
    """Entering and leaving the three states of a look are six events, and every attempt to call the function three."""
    text = flat(dev.training.the("AWS::StepFunctions::StateMachine", "Rollout")["DefinitionString"])
    definition = json.loads(text)
    check, wait = definition["States"]["Check"], definition["States"]["WaitForStack"]
    (retry,) = check["Retry"]
    most_per_s = 0.0
    for failures in range(retry["MaxAttempts"] + 1):
        waited_s = sum(retry["IntervalSeconds"] * retry["BackoffRate"] ** number for number in range(failures))
        most_per_s = max(most_per_s, (6 + 3 * (1 + failures)) / (wait["Seconds"] + waited_s))
    begin_and_end = 100
    assert most_per_s * definition["TimeoutSeconds"] + begin_and_end < MAX_EVENTS


def test_a_model_that_turns_out_to_be_wrong_is_waited_for_until_it_is_gone(
    dev: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, sent = walk(dev, monkeypatch, update=["wait"], check=["verify", "wait", "failed"], verify=["wait"])
    assert ending(machine, GIVEN) == ("Wordsight.NotPromoted", "because")
    assert [each["step"] for each in sent] == ["update", "check", "verify", "check", "check"]


def test_what_is_live_already_is_verified_at_once(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, _ = walk(dev, monkeypatch, update=["verify"], verify=["live"], teach=[None])
    machine.run(GIVEN)
    assert machine.slept_s == []


def test_a_version_is_live_whether_tasks_can_be_taught_for_it_or_not(
    dev: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [failure("Lambda.Unknown", "it died")] * (TEACH_RETRIES + 1)
    machine, sent = walk(dev, monkeypatch, update=["verify"], verify=["live"], teach=broken)
    machine.run(GIVEN)
    assert sent[-1] == TEACH_ALL and len(sent) == 2 + 1 + TEACH_RETRIES


def test_teaching_is_waited_for_as_long_as_it_goes_on(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    later = failure("ServiceUnavailable", json.dumps({"errorMessage": "no time is left: another worker goes on"}))
    machine, sent = walk(dev, monkeypatch, update=["verify"], verify=["live"], teach=[later] * MAX_ATTEMPTS + [None])
    machine.run(GIVEN)
    assert len(sent) == 2 + MAX_ATTEMPTS + 1


def test_silence_is_waited_out_and_in_the_end_written_down(dev: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = failure("ServiceUnavailable", json.dumps({"errorMessage": "CloudFormation did not answer: try again"}))
    machine, sent = walk(dev, monkeypatch, update=[silent] * (MAX_ATTEMPTS + 1), report=["failed"])
    assert ending(machine, GIVEN) == ("Wordsight.NotPromoted", "because")
    assert len(sent) == MAX_ATTEMPTS + 2
    assert sent[-1] == {**GIVEN, "step": "report", "reason": "CloudFormation did not answer: try again"}


def test_a_function_that_broke_without_a_description_is_written_down_too(
    dev: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, sent = walk(dev, monkeypatch, update=[failure("Lambda.Unknown", "it died")], report=["failed"])
    ending(machine, GIVEN)
    assert sent[-1]["reason"] == "it died"


def test_a_task_is_one_of_our_functions_and_the_role_may_call_just_that(
    dev: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, _ = walk(dev, monkeypatch)
    functions = sorted(set(machine.resources.values()))
    assert [re.sub(r"Function\w+\.Arn", "", each) for each in functions] == ["${Rollout}", "${Teach}"]
    called = [
        found
        for actions, found, _ in dev.training.statements("RolloutMachineRole")
        if "lambda:InvokeFunction" in actions
    ]
    assert [sorted(each) for each in called] == [functions]
