import json
import time
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from local.deployment import is_healthy, log_events, read_deployment, shell_variables
from local.settings import REGION, LocalError, LocalSettings


@pytest.fixture
def api_key_id(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A key whose value is `secret-secret-secret`."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield boto3.client("apigateway").create_api_key(name="key", value="secret-secret-secret")["id"]


def write_outputs(settings: LocalSettings, **api: str) -> None:
    settings.directory.mkdir()
    api = {"Configuration": "{}", **api}
    serving = {"EndpointName": "wordsight-dev"}
    settings.outputs.write_text(json.dumps({"WordsightApi-dev": api, "WordsightServing-dev": serving}))


def test_the_apis_address_on_aws_becomes_the_emulators_and_is_left_for_scripts(
    settings: LocalSettings, api_key_id: str
) -> None:
    write_outputs(settings, ApiUrl="https://ab12cd34.execute-api.us-east-1.amazonaws.com/v1/", ApiKeyId=api_key_id)
    deployed = read_deployment(settings)
    assert deployed.url == f"{settings.endpoint_url}/_aws/execute-api/ab12cd34/v1"
    assert (deployed.api_key, deployed.endpoint_name) == ("secret-secret-secret", "wordsight-dev")
    assert settings.url_file.read_text() == deployed.url + "\n"
    assert settings.api_key_file.read_text() == "secret-secret-secret\n"


def test_an_open_api_has_no_key(settings: LocalSettings) -> None:
    write_outputs(settings, ApiUrl="https://ab12cd34.execute-api.us-east-1.amazonaws.com/v1/")
    assert (read_deployment(settings).api_key, read_deployment(settings).signed) == (None, False)


def test_an_api_whose_callers_sign_is_known(settings: LocalSettings) -> None:
    url = "https://ab12cd34.execute-api.us-east-1.amazonaws.com/v1/"
    write_outputs(settings, ApiUrl=url, Configuration='{"auth":"iam"}')
    assert (read_deployment(settings).api_key, read_deployment(settings).signed) == (None, True)


def test_an_output_that_is_no_rest_api_is_named(settings: LocalSettings) -> None:
    write_outputs(settings, ApiUrl="https://wordsight.example/")
    with pytest.raises(LocalError, match=r"'https://wordsight\.example/', which is no REST API's address"):
        read_deployment(settings)


@pytest.mark.parametrize(
    ("status", "healthy"),
    [
        ("CREATE_COMPLETE", True),
        ("UPDATE_ROLLBACK_COMPLETE", True),
        ("ROLLBACK_COMPLETE", False),
        ("DELETE_FAILED", False),
    ],
)
def test_a_stack_is_healthy_while_it_stands(status: str, healthy: bool) -> None:
    assert is_healthy(status) is healthy


def test_a_function_in_the_endpoints_place_is_known(settings: LocalSettings) -> None:
    configuration = {"ApiUrl": "https://ab12cd34.execute-api.us-east-1.amazonaws.com/v1/"}
    write_outputs(settings, **configuration, Configuration='{"serving":"lambda"}', FunctionName="wordsight-dev")
    deployed = read_deployment(settings)
    assert (deployed.endpoint_name, deployed.by_function) == ("wordsight-dev", True)


def test_a_shell_is_told_of_the_outputs_that_commands_need(settings: LocalSettings) -> None:
    assert shell_variables(settings) == {}
    write_outputs(settings, DataBucketName="data-1", ArtifactsBucketName="artifacts-1", StateMachineArn="arn:m")
    assert shell_variables(settings) == {
        "DATA_BUCKET": "data-1",
        "ARTIFACTS_BUCKET": "artifacts-1",
        "STATE_MACHINE_ARN": "arn:m",
    }


def test_what_lambda_writes_of_every_call_is_left_out_of_the_logs(api_key_id: str) -> None:
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName="/aws/lambda/classify")
    logs.create_log_stream(logGroupName="/aws/lambda/classify", logStreamName="1")
    lines = [
        "START RequestId: 1 Version: $LATEST",
        "START of the show",
        "END RequestId: 1",
        "REPORT RequestId: 1\tDuration",
    ]
    events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
    logs.put_log_events(logGroupName="/aws/lambda/classify", logStreamName="1", logEvents=events)
    assert [event["message"] for event in log_events(0)] == ["START of the show"]
    assert [event["message"] for event in log_events(0, everything=True)] == lines
