"""The dashboard's figures, of the local system: the emulator counts requests and invocations as AWS would, and
`make local-status` reads of its CloudWatch and Step Functions what contract/operations.py lists.
"""

import math
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
from ministack.services import apigateway_v1, cloudwatch

from contract.operations import PANELS, Figure
from local.sagemaker import Answer, ApiError
from local.settings import STAGE

HOURS = 24
_PERIOD_S = 7 * 86_400
_OF_THE_STAGE = re.compile(rf"wordsight(\w*)-{STAGE}(-|$)", re.IGNORECASE)
_THE_MODEL = re.compile(rf"wordsight-{STAGE}$")
_STATUSES = {
    "ExecutionsSucceeded": "SUCCEEDED",
    "ExecutionsFailed": "FAILED",
    "ExecutionsTimedOut": "TIMED_OUT",
    "ExecutionsAborted": "ABORTED",
}
"""Of executions, which the emulator has no metrics of."""

Connect = Callable[[str], Any]
"""From a service's name to its client."""
Invoke = Callable[[str, bytes, Mapping[str, str]], Answer]


def extend() -> None:
    """Wrap ministack's function that answers a request to a REST API."""
    apigateway_v1._handle_execute_in_scope = partial(_count_request, apigateway_v1._handle_execute_in_scope)


async def _count_request(inner: Callable[..., Awaitable[Any]], api_id: str, stage: str, *others: Any) -> Any:
    began_s = time.monotonic()
    response = await inner(api_id, stage, *others)
    dimensions = {"ApiName": (apigateway_v1._rest_apis.get(api_id) or {}).get("name", ""), "Stage": stage}
    status = int(response[0])
    for metric, value in {
        "Count": 1,
        "4XXError": int(400 <= status < 500),
        "5XXError": int(status >= 500),
        "Latency": 1000 * (time.monotonic() - began_s),
    }.items():
        cloudwatch.record_metric("AWS/ApiGateway", metric, value, dimensions=dimensions)
    return response


def counting(invoke: Invoke) -> Invoke:
    """The same, counted as SageMaker does."""

    def counted(name: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        dimensions = {"EndpointName": name, "VariantName": "AllTraffic"}
        began_s, failed = time.monotonic(), False
        try:
            return invoke(name, body, headers)
        except ApiError as error:
            failed = error.code == "ModelError" and not 400 <= error.members["OriginalStatusCode"] < 500
            raise
        finally:
            for metric, value in {
                "Invocations": 1,
                "Invocation5XXErrors": int(failed),
                "ModelLatency": 1e6 * (time.monotonic() - began_s),
            }.items():
                cloudwatch.record_metric("AWS/SageMaker", metric, value, dimensions=dimensions)

    return counted


def rows(connect: Connect = boto3.client) -> Iterator[tuple[str, str]]:
    """Each panel of the dashboard as a line, of the last HOURS; without those of which nothing is known here."""
    for title, figures in PANELS.items():
        found = [(figure, _value(figure, connect)) for figure in figures]
        known = [f"{value:,.0f} {figure.unit} {figure.title}" for figure, value in found if value is not None]
        if known:
            yield title, ", ".join(re.sub(" +", " ", each) for each in known)


def _value(figure: Figure, connect: Connect) -> float | None:
    if figure.of == "machine":
        return float(sum(_executions(_STATUSES[figure.metric], connect("stepfunctions"))))
    client, of = connect("cloudwatch"), _THE_MODEL if figure.of == "model function" else _OF_THE_STAGE
    now = datetime.now(UTC)
    wanted = {"Namespace": figure.namespace, "MetricName": figure.metric}
    statistic = {"Statistics": ["Sum"]} if figure.statistic == "Sum" else {"ExtendedStatistics": [figure.statistic]}
    if figure.statistic in ("Average", "SampleCount", "Maximum"):
        statistic = {"Statistics": [figure.statistic]}
    points = [
        point
        for metric in client.list_metrics(**wanted)["Metrics"]
        if any(of.match(dimension["Value"]) for dimension in metric["Dimensions"])
        for point in client.get_metric_statistics(
            **wanted,
            **statistic,
            Dimensions=metric["Dimensions"],
            StartTime=now - timedelta(hours=HOURS),
            EndTime=now + timedelta(minutes=1),
            Period=_PERIOD_S,
        )["Datapoints"]
    ]
    if not points:
        return None
    if figure.statistic == "Sum":
        return math.fsum(point["Sum"] for point in points)
    newest = max(points, key=lambda point: point["Timestamp"])
    return float(newest.get("ExtendedStatistics", newest)[figure.statistic])


def _executions(status: str, client: Any) -> Iterator[int]:
    for page in client.get_paginator("list_state_machines").paginate():
        for machine in (each for each in page["stateMachines"] if _OF_THE_STAGE.match(each["name"])):
            pages = client.get_paginator("list_executions").paginate(
                stateMachineArn=machine["stateMachineArn"], statusFilter=status
            )
            yield sum(len(each["executions"]) for each in pages)
