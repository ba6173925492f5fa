"""How often an endpoint was asked, as CloudWatch counts."""

from datetime import datetime

from lambdas.aws.clients import Connect
from lambdas.aws.errors import botocore_errors_as_problems

MINUTE_S, HOUR_S = 60, 3600


class Invocations:
    """Those of one variant: every call counts, also GET /health's, which asks what the model knows.

    https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    """

    def __init__(self, endpoint_name: str, variant_name: str, connect: Connect) -> None:
        self._dimensions = [
            {"Name": "EndpointName", "Value": endpoint_name},
            {"Name": "VariantName", "Value": variant_name},
        ]
        self._connect = connect

    def between(self, begins: datetime, ends: datetime) -> int:
        """How many; those of the last minute or two are not known yet. Raises ServiceUnavailable for no answer."""
        period_s = min(max(MINUTE_S, int((ends - begins).total_seconds()) // MINUTE_S * MINUTE_S), HOUR_S)
        with botocore_errors_as_problems("CloudWatch"):
            found = self._connect("cloudwatch").get_metric_statistics(
                Namespace="AWS/SageMaker",
                MetricName="Invocations",
                Dimensions=self._dimensions,
                StartTime=begins,
                EndTime=ends,
                Period=period_s,
                Statistics=["Sum"],
            )
            return int(sum(point["Sum"] for point in found["Datapoints"]))
