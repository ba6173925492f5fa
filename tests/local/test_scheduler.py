import json
from typing import Any

import pytest

from local.scheduler import SCHEDULED_TIME
from tests.local.emulated import ROLE, wait_for


@pytest.mark.slow
def test_a_schedule_that_is_due_starts_its_machine_and_tells_the_time(aws: Any) -> None:
    machines, schedules = aws("stepfunctions"), aws("scheduler")
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    arn = machines.create_state_machine(name="due", definition=definition, roleArn=ROLE)["stateMachineArn"]
    given = json.dumps({"action": "pause", "at": SCHEDULED_TIME})
    schedules.create_schedule(
        Name="due",
        ScheduleExpression="at(2026-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": ROLE, "Input": given},
    )
    wait_for(lambda: bool(machines.list_executions(stateMachineArn=arn)["executions"]))
    (execution,) = machines.list_executions(stateMachineArn=arn)["executions"]
    told = json.loads(machines.describe_execution(executionArn=execution["executionArn"])["input"])
    assert told["action"] == "pause" and told["at"].startswith("20") and told["at"].endswith("Z")
    schedules.delete_schedule(Name="due")
    machines.delete_state_machine(stateMachineArn=arn)
