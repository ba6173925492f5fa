"""What `make local-status` tells of an emulator that has answered requests."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from contract.operations import PANELS
from local.figures import rows
from local.settings import LocalSettings
from tests.local.emulated import deployed, serving
from tests.local.test_apigateway import api, send

pytestmark = pytest.mark.slow


@pytest.fixture
def api_id(aws: Any) -> Iterator[str]:
    """Of an API that is called as the stage's is."""
    with deployed(aws, "counted", api().replace('"Name": "api"', '"Name": "wordsight-dev"')) as stacks:
        yield stacks.describe_stacks(StackName="counted")["Stacks"][0]["Outputs"][0]["OutputValue"]


def test_requests_are_counted_by_their_status_and_timed(system: LocalSettings, aws: Any, api_id: str) -> None:
    before = dict(rows(aws))
    for path, body in (("size", b""), ("raise", b""), ("size", bytes(5_000_000)), ("size", b"a")):
        send(system, api_id, path, body, "image/png", {})
    told = dict(rows(aws))
    assert told["Requests"] == "4 requests, 1 refused (4xx), 1 failed (5xx)"
    assert told["What callers waited"].endswith(" ms p99") and " ms p50, " in told["What callers waited"]
    assert "Requests" not in before and told.keys() <= PANELS.keys()


def test_invocations_are_counted_with_those_that_the_model_failed(aws: Any) -> None:
    with deployed(aws, "counted-endpoint", serving().replace('"clip"', '"wordsight-dev"')):
        runtime = aws("sagemaker-runtime")
        runtime.invoke_endpoint(EndpointName="wordsight-dev", Body=b"{}")
        for body in (b"refuse", b"die"):  # a 4xx of the model's, and no answer
            with pytest.raises(ClientError):
                runtime.invoke_endpoint(EndpointName="wordsight-dev", Body=body)
        told = dict(rows(aws))
    assert told["The model"] == "3 invocations, 1 faults (5xx)"
    assert told["What the model took"].count("µs") == 2


def test_executions_are_counted_by_how_they_ended_and_those_of_others_are_not(aws: Any) -> None:
    assert dict(rows(aws))["Executions"] == "0 succeeded, 0 failed, 0 timed out, 0 stopped"
    client = aws("stepfunctions")
    role = "arn:aws:iam::000000000000:role/any"
    definition = '{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}'
    for name in ("WordsightTraining-dev-Machine", "another"):
        arn = client.create_state_machine(name=name, definition=definition, roleArn=role)["stateMachineArn"]
        execution = client.start_execution(stateMachineArn=arn)["executionArn"]
        while client.describe_execution(executionArn=execution)["status"] == "RUNNING":
            pass
    assert dict(rows(aws))["Executions"].startswith("1 succeeded, 0 failed")
