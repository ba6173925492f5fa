"""An alarm of CloudWatch that is to tell nobody for a while: it goes on watching, and its actions are switched off."""

from lambdas.aws.clients import Connect
from lambdas.aws.errors import botocore_errors_as_problems


class AlarmActions:
    """Those of one alarm, which need not exist. Every method raises ServiceUnavailable if CloudWatch does not answer.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DisableAlarmActions.html
    """

    def __init__(self, alarm_name: str, connect: Connect) -> None:
        self._alarm_name = alarm_name
        self._connect = connect

    def disable(self) -> None:
        """Tell nobody."""
        with botocore_errors_as_problems("CloudWatch"):
            self._connect("cloudwatch").disable_alarm_actions(AlarmNames=[self._alarm_name])

    def enable(self) -> None:
        """Tell again."""
        with botocore_errors_as_problems("CloudWatch"):
            self._connect("cloudwatch").enable_alarm_actions(AlarmNames=[self._alarm_name])
