from operate.doctor import report
from operate.stage import Stage
from stacks.config import StageConfig
from tests.operate.accounts import Account


def test_what_failed_is_told_with_its_reason() -> None:
    event = {"StackId": "1", "EventId": "1", "StackName": "WordsightApi-dev", "Timestamp": "2026-01-01"}
    failed = {**event, "LogicalResourceId": "Api", "ResourceStatus": "CREATE_FAILED", "ResourceStatusReason": "no role"}
    events = {"cloudformation.DescribeStackEvents": {"StackEvents": [failed]}}
    assert "WordsightApi-dev: Api: no role" in report(Stage(StageConfig(stage="dev"), Account(events).connect))
