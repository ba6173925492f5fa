"""An alarm that tells nobody for a while."""

import boto3
import pytest
from moto import mock_aws

from lambdas.aws.alarms import AlarmActions

ALARM = "wordsight-dev-EndpointSilent"


def test_its_actions_are_switched_off_and_on_and_it_need_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        cloudwatch = boto3.client("cloudwatch")

        def are_on() -> bool:
            (alarm,) = cloudwatch.describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]
            return bool(alarm["ActionsEnabled"])

        actions = AlarmActions(ALARM, lambda service: boto3.client(service))  # type: ignore[call-overload]
        actions.disable()  # of none
        cloudwatch.put_metric_alarm(
            **{"AlarmName": ALARM, "Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 60},
            **{"EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "LessThanThreshold"},
        )
        assert are_on()
        actions.disable()
        assert not are_on()
        actions.enable()
        assert are_on()
