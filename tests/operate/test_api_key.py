import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from operate.api_key import main


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


def test_the_key_is_that_of_the_stage(cloudformation: Any, capsys: pytest.CaptureFixture[str]) -> None:
    key = boto3.client("apigateway").create_api_key(name="key", value="secret-secret-secret")
    deploy(cloudformation, "dev", ApiUrl="https://dev.example/v1/", ApiKeyId=key["id"])
    deploy(cloudformation, "prod", ApiUrl="https://prod.example/v1/")
    assert main(["dev"]) == 0
    assert capsys.readouterr().out == "secret-secret-secret\n"


def test_the_region_is_the_one_that_the_cdk_deploys_to(
    cloudformation: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = boto3.client("apigateway").create_api_key(name="key", value="secret-secret-secret")
    deploy(cloudformation, "dev", ApiUrl="https://dev.example/v1/", ApiKeyId=key["id"])
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert main(["dev"]) == 0
    assert capsys.readouterr().out == "secret-secret-secret\n"


def test_a_stage_that_asks_for_no_key_says_so(cloudformation: Any, capsys: pytest.CaptureFixture[str]) -> None:
    deploy(cloudformation, "prod", ApiUrl="https://prod.example/v1/")
    assert main(["prod"]) == 1
    assert "prod asks for no API key" in capsys.readouterr().err


def test_what_is_wrong_is_said_in_a_sentence(cloudformation: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dev"]) == 1
    assert capsys.readouterr().err == "WordsightApi-dev is not deployed here: make deploy STAGE=dev\n"
    assert main(["dev", "-c", "auth=all"]) == 1
    assert "auth is 'all'" in capsys.readouterr().err
