import pytest

from operate.api import address, open_api
from operate.stage import OperatorError, Stage
from stacks.config import StageConfig
from tests.operate.accounts import GOOD, REGION, Account

AWS = "https://apigateway.eu-central-1.amazonaws.com"
OUTPUT = "https://abc123.execute-api.eu-central-1.amazonaws.com/v1"

IN_CHINA = "https://abc123.execute-api.cn-north-1.amazonaws.com.cn/v1"


@pytest.mark.parametrize(
    ("output", "endpoint", "reached"),
    [
        (OUTPUT, AWS, OUTPUT),
        (OUTPUT, "https://vpce-1.apigateway.eu-central-1.vpce.amazonaws.com", OUTPUT),
        (f"{IN_CHINA}/", "https://apigateway.cn-north-1.amazonaws.com.cn", IN_CHINA),
        (OUTPUT, "http://127.0.0.1:4566", "http://127.0.0.1:4566/_aws/execute-api/abc123/v1"),
        ("https://vision.example/v1", AWS, "https://vision.example/v1"),
    ],
)
def test_an_api_is_where_its_output_says_or_where_its_emulator_is(output: str, endpoint: str, reached: str) -> None:
    assert address(output, endpoint) == reached


def stage(**outputs: str) -> Stage:
    described = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    stack = {"StackName": "WordsightApi-dev", "CreationTime": "2026-01-01", "StackStatus": "CREATE_COMPLETE"}
    answers = {
        "cloudformation.DescribeStacks": {"Stacks": [{**stack, "Outputs": described}]},
        "apigateway.GetApiKey": lambda asked: {"id": asked["apiKey"], "value": f"value of {asked['apiKey']}"},
    }
    return Stage(StageConfig(stage="dev"), Account(answers).connect)


def test_a_stage_with_a_key_is_called_with_it() -> None:
    api = open_api(stage(ApiUrl=OUTPUT, ApiKeyId="key1"))
    assert (api.url, api.key, api.sign) == (OUTPUT, "value of key1", None)


def test_a_stage_without_a_key_is_called_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    sign = open_api(stage(ApiUrl=OUTPUT)).sign
    assert sign
    authorization = sign("GET", f"{OUTPUT}/models", None, {})["Authorization"]
    assert f"/{REGION}/execute-api/aws4_request" in authorization and "Credential=AKIA1/" in authorization


def test_a_stage_that_is_not_deployed_says_so() -> None:
    with pytest.raises(OperatorError, match="WordsightApi-dev is not deployed here: make deploy STAGE=dev"):
        open_api(Stage(StageConfig(stage="dev"), Account(GOOD).connect))
