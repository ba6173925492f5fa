import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from operate.api_key import api_key, main


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """That of an account in which nothing is deployed yet."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield boto3.client("cloudformation")


def deploy(cloudformation: Any, stage: str, **outputs: str) -> None:
    """A stack with the name and the outputs of the API's."""
    described = {name: {"Value": value} for name, value in outputs.items()}
    template = {"Resources": {"Any": {"Type": "AWS::S3::Bucket"}}, "Outputs": described}
    cloudformation.create_stack(StackName=f"WordsightApi-{stage}", TemplateBody=json.dumps(template))


def test_the_key_is_that_of_the_stage(
    cloudformation: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = boto3.client("apigateway").create_api_key(name="key", value="secret-secret-secret")
    deploy(cloudformation, "dev", ApiUrl="https://dev.example/v1/", ApiKeyId=key["id"])
    deploy(cloudformation, "prod", ApiUrl="https://prod.example/v1/")
    monkeypatch.setattr("sys.argv", ["api_key", "dev"])
    main()
    assert capsys.readouterr().out == "secret-secret-secret\n"


def test_a_stage_that_asks_for_no_key_says_so(cloudformation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(cloudformation, "prod", ApiUrl="https://prod.example/v1/")
    assert api_key("prod") is None
    monkeypatch.setattr("sys.argv", ["api_key", "prod"])
    with pytest.raises(SystemExit, match="this stage asks for no API key"):
        main()


def test_a_stage_that_is_not_deployed_is_named(cloudformation: Any) -> None:
    with pytest.raises(cloudformation.exceptions.ClientError, match="WordsightApi-dev does not exist"):
        api_key("dev")
