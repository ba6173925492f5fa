"""What a spent budget begins."""

import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas.budget.main import handler

MESSAGE = "95df01b4-ee98-5cb9-9903-4c221d41eb5e"
CONTEXT: Any = SimpleNamespace(
    function_name="budget", memory_limit_in_mb=1024, invoked_function_arn="arn", aws_request_id="1"
)


def told(message: str) -> dict[str, Any]:
    """As a topic calls a function, as far as it is read."""
    text = "AWS Budget Notification: your actual cost exceeds 100% of your budget"
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": message, "Message": text}}]}


@pytest.fixture
def machine_arn(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        made = boto3.client("stepfunctions").create_state_machine(
            name="pauses",
            definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/machine",
        )
        monkeypatch.setenv("PAUSE_MACHINE_ARN", made["stateMachineArn"])
        yield made["stateMachineArn"]


def test_a_spent_budget_pauses_the_stage_once_however_often_it_is_told(machine_arn: str) -> None:
    states = boto3.client("stepfunctions")
    for _ in range(2):
        handler(told(MESSAGE), CONTEXT)
    (execution,) = states.list_executions(stateMachineArn=machine_arn)["executions"]
    given = json.loads(states.describe_execution(executionArn=execution["executionArn"])["input"])
    assert execution["name"] == f"budget-{MESSAGE}"
    assert (given["action"], given["by"]) == ("pause", "budget") and given["at"]
