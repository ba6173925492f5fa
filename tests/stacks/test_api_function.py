from pathlib import Path

from lambdas.settings import ApiSettings
from model.contract import (
    API_TIMEOUT_S,
    LAMBDA_TIMEOUT_S,
    SDK_CONNECT_TIMEOUT_S,
    SDK_MAX_ATTEMPTS,
    SDK_READ_TIMEOUT_S,
)
from stacks.config import POWERTOOLS_LAYER_VERSION
from tests.stacks.conftest import Assembly, flat


def test_the_function_may_call_one_endpoint_and_read_uploads_and_nothing_else(dev: Assembly) -> None:
    endpoint = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint/wordsight-dev"
    data = "${WordsightData-dev.PublishOutputFnGetAttData666C94C7Arn14D6E0D7}"
    (logs,) = (id for id in dev.api.of_type("AWS::Logs::LogGroup") if id.startswith("FunctionLogs"))
    granted = {action: resources for actions, resources, _ in dev.api.statements("FunctionRole") for action in actions}
    assert granted == {
        "sagemaker:InvokeEndpoint": (endpoint,),
        "sagemaker:DescribeEndpoint": (endpoint,),
        "s3:GetObject": (f"{data}/uploads/*",),
        "logs:CreateLogStream": (f"${{{logs}.Arn}}",),
        "logs:PutLogEvents": (f"${{{logs}.Arn}}",),
        "xray:PutTelemetryRecords": ("*",),
        "xray:PutTraceSegments": ("*",),
    }


def test_the_endpoint_it_may_call_is_the_one_it_calls(dev: Assembly) -> None:
    environment = dev.api.the("AWS::Lambda::Function")["Environment"]["Variables"]
    assert environment["ENDPOINT_NAME"] == dev.serving.the("AWS::SageMaker::Endpoint")["EndpointName"]


def test_its_environment_is_what_it_reads(prod: Assembly) -> None:
    environment = prod.api.the("AWS::Lambda::Function")["Environment"]["Variables"]
    settings = ApiSettings.from_env({**environment, "DATA_BUCKET": "data-bucket"})
    assert settings.endpoint_name == "wordsight-prod"
    assert settings.cors_origins == ("https://one.example", "https://two.example")


def test_each_step_gives_up_before_the_one_that_waits_for_it(dev: Assembly) -> None:
    function = dev.api.the("AWS::Lambda::Function")
    assert function["Timeout"] > SDK_MAX_ATTEMPTS * (SDK_CONNECT_TIMEOUT_S + SDK_READ_TIMEOUT_S)
    assert function["Timeout"] == LAMBDA_TIMEOUT_S < API_TIMEOUT_S


def test_it_runs_on_arm_with_the_pinned_powertools(dev: Assembly) -> None:
    function = dev.api.the("AWS::Lambda::Function")
    assert (function["Runtime"], function["Architectures"]) == ("python3.14", ["arm64"])
    (layer,) = map(flat, function["Layers"])
    assert layer.endswith(f":layer:AWSLambdaPowertoolsPythonV3-python314-arm64:{POWERTOOLS_LAYER_VERSION}")


def test_its_code_is_the_handlers_and_the_contract(dev: Assembly) -> None:
    key = dev.api.the("AWS::Lambda::Function")["Code"]["S3Key"]
    staged = dev.directory / f"asset.{Path(key).stem}"
    files = {each.relative_to(staged) for each in staged.rglob("*") if each.is_file()}
    assert {Path("model/__init__.py"), Path("model/contract.py")} == {
        each for each in files if each.parts[0] == "model"
    }
    assert Path("lambdas/classify.py") in files
    assert {each.parts[0] for each in files} == {"lambdas", "model"}
    assert not [each for each in files if each.suffix == ".pyc"]
    assert dev.api.the("AWS::Lambda::Function")["Handler"] == "lambdas.classify.handler"


def test_it_is_traced_and_takes_no_share_of_the_accounts_concurrency(dev: Assembly) -> None:
    function = dev.api.the("AWS::Lambda::Function")
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert "ReservedConcurrentExecutions" not in function  # a new account has ten in all, and the deployment would fail
