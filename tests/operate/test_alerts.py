from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from operate.alerts import alerts
from operate.findings import Finding
from operate.stage import Connect
from stacks.config import StageConfig

BUDGET = {"stage": "dev", "alarm_email": "team@example.com", "monthly_budget_usd": 100}


def nobody(service: str) -> Any:
    raise AssertionError(f"{service} is asked for nothing")


def found(*active: str) -> list[Finding]:
    """In an account that has activated these tags, and knows of both."""
    client = boto3.client("ce", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="a")
    tags = [
        {"TagKey": key, "Type": "UserDefined", "Status": "Active" if key in active else "Inactive"}
        for key in ("application", "stage")
    ]
    asked = {"TagKeys": ["application", "stage"], "Type": "UserDefined"}
    with Stubber(client) as stubber:
        stubber.add_response("list_cost_allocation_tags", {"CostAllocationTags": tags}, asked)
        connect: Connect = {"ce": client}.__getitem__
        return list(alerts(StageConfig(**BUDGET), connect))


def test_alarms_that_tell_nobody_are_said_and_stop_nothing() -> None:
    (finding,) = alerts(StageConfig(stage="dev"), nobody)
    assert (finding.level, "nobody is told" in finding.text) == ("note", True)
    assert list(alerts(StageConfig(stage="dev", alarm_email="team@example.com"), nobody)) == []


@pytest.mark.parametrize(("active", "missing"), [((), "application and stage"), (("application",), "stage")])
def test_a_budget_without_its_tags_is_warned_of_with_the_command(active: tuple[str, ...], missing: str) -> None:
    (finding,) = found(*active)
    assert finding.level == "warning" and f": {missing} are tags that are not activated" in finding.text
    assert "TagKey=stage,Status=Active" in finding.remedy
    assert ("TagKey=application" in finding.remedy) == (not active)


def test_a_budget_with_its_tags_is_fine() -> None:
    (finding,) = found("application", "stage")
    assert finding.level == "ok"
