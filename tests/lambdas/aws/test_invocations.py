from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from contract.problems import ServiceUnavailable
from lambdas.aws.invocations import Invocations
from tests.lambdas.control_plane import client_error

NOW = datetime.now(UTC)


def put(client: Any, ago_min: int, endpoint: str = "wordsight-test") -> None:
    client.put_metric_data(
        Namespace="AWS/SageMaker",
        MetricData=[
            {
                "MetricName": "Invocations",
                "Dimensions": [
                    {"Name": "EndpointName", "Value": endpoint},
                    {"Name": "VariantName", "Value": "AllTraffic"},
                ],
                "Timestamp": NOW - timedelta(minutes=ago_min),
                "Value": 2,
            }
        ],
    )


def test_the_calls_of_one_endpoint_within_a_time_are_counted() -> None:
    with mock_aws():
        client = boto3.client("cloudwatch", region_name="us-east-1")
        for ago_min in (5, 30, 90):
            put(client, ago_min)
        put(client, 5, "another")
        invocations = Invocations("wordsight-test", "AllTraffic", lambda service: client)
        counted = [invocations.between(NOW - timedelta(minutes=begun), NOW) for begun in (60, 15, 3)]
        assert counted == [4, 2, 0]


def test_a_silent_cloudwatch_is_over_in_a_moment() -> None:
    class Silent:
        def get_metric_statistics(self, **_: object) -> None:
            raise client_error("GetMetricStatistics", "Throttling", "Rate exceeded")

    with pytest.raises(ServiceUnavailable, match="CloudWatch did not answer"):
        Invocations("wordsight-test", "AllTraffic", lambda service: Silent()).between(NOW - timedelta(hours=1), NOW)
