import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from contract.models import Model
from operate.cdk import cdk_command
from operate.deploy import FUNCTION_STARTS, KEY_POLL_S, KEY_WAIT_S, deploy, main, verify
from operate.stage import OperatorError, Stage
from stacks.config import StageConfig
from stacks.stage_files import from_context
from tests.lambdas.gateway import Event, Resolve, served
from tests.operate.accounts import GOOD, Account, refusal
from tests.operate.builders import install, program
from tests.wordsight.conftest import (  # noqa: F401, the fixtures that the ones here need
    System,
    _account_that_is_nobodys,
    _s3,
    bucket,
    system,
)

MADE = datetime(2026, 1, 1)
CONFIG_ARN = "arn:aws:sagemaker:eu-central-1:123456789012:endpoint-config/endpointconfig-abc123"
ENDPOINT = {
    "EndpointName": "wordsight-dev",
    "EndpointArn": "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/wordsight-dev",
    "EndpointConfigName": "EndpointConfig-aBc123",
    "EndpointStatus": "InService",
    "CreationTime": "2026-01-01",
    "LastModifiedTime": "2026-01-01",
}


class Cloud(Account):
    """A good account, in which nothing is deployed until the CDK CLI, which is `run`, has deployed it."""

    url = ""
    key = True
    paused = False

    def __init__(self, resolve: Resolve) -> None:
        super().__init__(GOOD)
        self._resolve = resolve
        self.status = 0
        self.configuration: str | None = None
        self.endpoint: dict[str, Any] = dict(ENDPOINT)
        self.function: dict[str, str] = {"State": "Active", "LastUpdateStatus": "Successful"}
        self.refusals = 0
        """How many requests API Gateway refuses, as it does not know the key yet."""
        self.starts = False
        """Whether the refusals are those of a model that starts."""
        self.waited_s = 0.0
        self.commands: list[list[str]] = []
        self.examined: list[str] = []

    def resolve(self, event: Event) -> dict[str, Any]:
        if event["path"] == "/health" or not self.refusals:
            return self._resolve(event)
        self.refusals -= 1
        if self.starts:
            body = json.dumps({"detail": "the model did not answer within 22 s"})
            return {"statusCode": 504, "body": body, "multiValueHeaders": {}, "isBase64Encoded": False}
        body = json.dumps({"detail": "the API key is missing or wrong: send it in the header x-api-key"})
        return {"statusCode": 403, "body": body, "multiValueHeaders": {}, "isBase64Encoded": False}

    def sleep(self, seconds: float) -> None:
        self.waited_s += seconds

    def run(self, command: Sequence[str]) -> int:
        self.commands.append([*command])
        self.deployed()
        return self.status

    def deployed(self, configuration: str | None = None) -> "Cloud":
        self.configuration = configuration
        resource = {
            "LogicalResourceId": "EndpointConfig",
            "PhysicalResourceId": CONFIG_ARN,
            "ResourceType": "AWS::SageMaker::EndpointConfig",
            "ResourceStatus": "CREATE_COMPLETE",
            "LastUpdatedTimestamp": "2026-01-01",
        }
        self.answers |= {
            "cloudformation.DescribeStacks": self._stacks,
            "cloudformation.ListStackResources": {"StackResourceSummaries": [resource]},
            "sagemaker.DescribeEndpoint": lambda asked: self.endpoint,
            "lambda.GetFunctionConfiguration": lambda asked: self.function,
            "apigateway.GetApiKey": {"value": "the-key"},
        }
        return self

    def _stacks(self, asked: dict[str, Any]) -> Mapping[str, Any]:
        outputs = {"EndpointName": "wordsight-dev", "FunctionName": "wordsight-dev", "ApiUrl": self.url}
        outputs |= {"ApiKeyId": "key1"} if self.key else {}
        outputs |= {"Configuration": self.configuration} if self.configuration is not None else {}
        described = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
        stack = {
            "StackName": asked["StackName"],
            "CreationTime": MADE,
            "StackStatus": "CREATE_COMPLETE",
        }
        parameters = [{"ParameterKey": "Paused", "ParameterValue": "yes" if self.paused else "no"}]
        return {"Stacks": [{**stack, "Outputs": described, "Parameters": parameters}]}

    def examine(self, stage: Stage, *, cli_failed: bool = False) -> str:
        self.examined.append("the CLI failed" if cli_failed else "it is deployed")
        return "The quota is 0."


@pytest.fixture
def cloud(system: System) -> Iterator[Cloud]:  # noqa: F811
    """Its API is the real functions."""
    cloud = Cloud(system.resolve)
    with served(cloud.resolve) as cloud.url:
        yield cloud


Deploy = Callable[..., int]


@pytest.fixture
def deploys(cloud: Cloud, tmp_path: Path) -> Deploy:
    """Deploys dev on a good machine, with `name=value` pairs; `file` stands for what the stage's file says."""
    environ = program(tmp_path, "node", "#!/bin/sh\necho v24.1.0\n") | install(tmp_path)

    def run(*context: str, answer: str | None = None, yes: bool = False, file: str = "") -> int:
        config = from_context(dict(pair.split("=") for pair in (*file.split(), *context)))
        ask = None if answer is None else lambda question: answer
        stage = Stage(config, cloud.connect)
        return deploy(
            stage, context, environ, yes=yes, ask=ask, run=cloud.run, examine=cloud.examine, sleep=cloud.sleep
        )

    return run


def test_a_deployment_ends_with_an_answer_and_what_to_do_next(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    assert deploys("spot=true") == 0
    (command,) = cloud.commands
    options = ["--method", "change-set", "--require-approval", "never"]
    assert command == cdk_command("deploy", "dev", ["spot=true"], *options)
    told = capsys.readouterr().out
    order = [
        "the account is 123456789012",
        "USD per hour",
        "the model tiny@1 says that local/sample.png is a",
        "It is up",
    ]
    assert sorted(order, key=told.index) == order
    assert f"export WORDSIGHT_URL={cloud.url} WORDSIGHT_API_KEY=$(make -s api-key STAGE=dev)" in told
    assert '-m webbrowser "$WORDSIGHT_URL/#key=$WORDSIGHT_API_KEY"' in told, "the page opens with the key"
    assert [line.split()[3] for line in told.splitlines() if "-m wordsight" in line] == [
        "classify",
        "annotate",
        "train",
    ]
    assert "the-key" not in told and cloud.examined == []


def test_a_person_is_asked_and_the_cli_asks_for_permissions(deploys: Deploy, cloud: Cloud) -> None:
    assert deploys(answer="n") == 1 and deploys(answer="") == 1
    assert cloud.commands == []
    assert deploys(answer="y") == 0
    assert "--require-approval" not in cloud.commands[0]
    assert deploys(answer="n", yes=True) == 0
    assert "--require-approval" in cloud.commands[1]


def test_what_would_stop_it_stops_it_before_anything_is_deployed(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.answers["ssm.GetParameter"] = refusal("ParameterNotFound")
    assert deploys("cors_origins=https://a.example, https://b.example") == 1 and cloud.commands == []
    told = capsys.readouterr().out
    assert "make bootstrap" in told and "1 of these would stop the deployment of dev" in told
    assert (
        shlex.split(told.partition("npx ")[2].splitlines()[0])[1:]
        == cdk_command(
            *("deploy", "dev", ["cors_origins=https://a.example, https://b.example"]),
            *("--method", "change-set", "--require-approval", "never"),
        )[1:]
    )


REVERTED = "  auth: iam is deployed, this sets api_key"


def test_a_knob_that_was_given_before_is_not_undone_without_a_word(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.deployed(json.dumps({"auth": "iam"}))
    assert deploys() == 1 and cloud.commands == []
    told = capsys.readouterr().out
    assert REVERTED in told and "it would undo auth" in told
    assert "stacks/stages/dev.toml" in told and "YES=1" in told


def test_a_default_that_was_given_against_the_stages_file_is_not_undone_either(
    deploys: Deploy, cloud: Cloud, capsys: Any
) -> None:
    cloud.deployed("{}")
    assert deploys(file="auth=iam") == 1 and cloud.commands == []
    assert "it would undo auth" in capsys.readouterr().out


def test_a_knob_is_undone_by_who_says_so(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    for saying in ({"yes": True}, {"answer": "y"}):
        cloud.deployed(json.dumps({"auth": "iam"}))
        assert deploys(**saying) == 0
        assert REVERTED in capsys.readouterr().out
    cloud.deployed(json.dumps({"auth": "iam"}))
    assert deploys("auth=none") == 0
    assert "  auth: iam is deployed, this sets none" in capsys.readouterr().out


def test_a_knob_that_is_new_or_stays_stops_nothing(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.deployed(json.dumps({"auth": "iam"}))
    assert deploys("auth=iam", "throttling_burst=7") == 0
    told = capsys.readouterr().out
    assert "  throttling_burst: 50 is deployed, this sets 7" in told and "auth:" not in told


def test_why_it_failed_is_told_at_once(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.status = 1
    assert deploys() == 1 and cloud.examined == ["the CLI failed"]
    assert "The deployment of dev failed.\n\nThe quota is 0." in capsys.readouterr().err


def test_an_update_that_sagemaker_rolled_back_is_no_success(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.endpoint |= {"EndpointConfigName": "EndpointConfig-old", "FailureReason": "The alarm fired."}
    assert deploys() == 1 and cloud.examined == ["it is deployed"]
    told = capsys.readouterr().err
    assert "It is deployed, but the endpoint wordsight-dev serves by EndpointConfig-old and not by endpointc" in told
    assert "SageMaker rolled its update back. The alarm fired." in told


def test_an_endpoint_that_is_not_in_service_is_no_success(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.endpoint |= {"EndpointStatus": "Failed", "FailureReason": "It did not pass the ping health check."}
    assert deploys() == 1
    assert "the endpoint wordsight-dev is Failed: It did not pass the ping" in capsys.readouterr().err


def test_a_stage_without_instances_is_asked_by_its_function(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.endpoint |= {"EndpointStatus": "Deleting"}
    assert deploys("serving=lambda") == 0
    assert "says that local/sample.png is a" in capsys.readouterr().out
    cloud.function = {"State": "Failed", "StateReason": "The image can't be pulled."}
    assert deploys("serving=lambda") == 1
    assert "the function wordsight-dev is Failed: The image can't be pulled." in capsys.readouterr().err
    cloud.function = {"State": "Active", "LastUpdateStatus": "Failed", "LastUpdateStatusReason": "No image."}
    assert deploys("serving=lambda") == 1
    assert "is what it was before, its update failed: No image." in capsys.readouterr().err


def test_an_api_that_does_not_answer_is_no_success(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.url = "http://127.0.0.1:1/v1"
    assert deploys() == 1 and cloud.examined == ["it is deployed"]
    assert "It is deployed, but nothing answers at 127.0.0.1:1" in capsys.readouterr().err


def test_a_key_that_is_not_known_yet_is_waited_for(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.refusals = 3
    assert deploys() == 0 and cloud.waited_s == 3 * KEY_POLL_S
    told = capsys.readouterr().out
    assert told.count("The API does not take its key yet") == 1
    assert told.index("does not take its key yet") < told.index("says that local/sample.png is a")


def test_a_model_that_starts_is_asked_again_but_not_for_ever(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.starts, cloud.refusals = True, FUNCTION_STARTS
    assert deploys("serving=lambda") == 0
    cloud.refusals = 1000
    assert deploys("serving=lambda") == 1
    assert "It is deployed, but the model did not answer within 22 s" in capsys.readouterr().err


def test_a_key_that_stays_unknown_is_not_waited_for_for_ever(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.refusals = 1000
    assert deploys() == 1 and cloud.waited_s == KEY_WAIT_S
    assert "its API refuses its own key for 2 minutes now: the API key is missing or wrong" in capsys.readouterr().err


def test_who_may_not_call_an_api_without_a_key_is_told_at_once(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.key, cloud.refusals = False, 1
    assert deploys("auth=none") == 1 and cloud.waited_s == 0
    assert "It is deployed, but the API key is missing" in capsys.readouterr().err


def test_another_model_than_the_live_one_is_no_success(cloud: Cloud, system: System) -> None:  # noqa: F811
    uri = "s3://wordsight-data/models/one/"
    system.registry.add(
        Model(version="one", artifact_s3_uri=uri, created="", source="training", served_version="one@2")
    )
    system.cloudformation.model_uri = uri
    stage = Stage(StageConfig(stage="dev"), cloud.deployed().connect)
    with pytest.raises(OperatorError, match="the endpoint serves 'tiny@1', and one is live, which is 'one@2'"):
        verify(stage)


def test_who_has_to_sign_is_told_how(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.key = False
    assert deploys("auth=iam") == 0
    told = capsys.readouterr().out
    assert "curl --aws-sigv4 aws:amz:eu-central-1:execute-api" in told and "api-key" not in told
    assert [line.split('"$URL')[1] for line in told.splitlines() if '"$URL' in line] == [
        '/classify"',
        '/annotations"',
        '/trainings"',
    ]


def test_a_stage_that_is_not_allowed_is_told_before_anything_is_asked(capsys: Any) -> None:
    assert main(["dev", "-c", "spot=yes"], {}) == 1
    assert "spot is 'yes', allowed: true, false" in capsys.readouterr().err


def test_a_paused_stage_is_deployed_and_stays_paused(deploys: Deploy, cloud: Cloud, capsys: Any) -> None:
    cloud.paused = True
    cloud.answers.pop("sagemaker.DescribeEndpoint", None)
    assert deploys() == 0 and cloud.examined == []
    told = capsys.readouterr().out
    assert "the stage is paused since 2026-01-01 00:00 UTC, and stays so: make resume STAGE=dev brings" in told
