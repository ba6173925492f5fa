import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from contract.models import Model
from operate.promote import main
from tests.lambdas.gateway import served
from tests.wordsight.conftest import (  # noqa: F401, the fixtures that the ones here need
    System,
    _account_that_is_nobodys,
    _s3,
    bucket,
    system,
)
from tests.wordsight.test_models import Ends, one  # noqa: F401


@pytest.fixture(autouse=True)
def _deployed(system: System) -> Iterator[None]:  # noqa: F811
    """The API's stack of a stage, in front of the API's real functions."""
    with served(system.resolve) as url:
        apigateway = boto3.client("apigateway")
        key = apigateway.create_api_key(name="key", value="secret-secret-secret")
        outputs = {"ApiUrl": {"Value": url}, "ApiKeyId": {"Value": key["id"]}}
        template = {"Resources": {"Any": {"Type": "AWS::SNS::Topic"}}, "Outputs": outputs}
        cloudformation = boto3.client("cloudformation")
        cloudformation.create_stack(StackName="WordsightApi-dev", TemplateBody=json.dumps(template))
        yield
        cloudformation.delete_stack(StackName="WordsightApi-dev")
        apigateway.delete_api_key(apiKey=key["id"])


def test_a_version_goes_live_through_the_stages_api(system: System, one: Model, capsys: Any) -> None:  # noqa: F811
    system.stepfunctions = Ends(system, state="live")
    assert main(["dev", "one", "--force"], {}) == 0
    assert "one is live" in capsys.readouterr().out
    asked = [(event["httpMethod"], event["path"]) for event in system.events]
    assert asked == [("POST", "/models/one/promote"), ("GET", "/models/one")]
    assert system.events[0]["headers"]["X-Api-Key"] == "secret-secret-secret"


def test_a_promotion_that_fails_ends_with_its_reason(system: System, one: Model, capsys: Any) -> None:  # noqa: F811
    system.stepfunctions = Ends(system, state="failed", reason="the endpoint did not come up")
    assert main(["dev", "one", "--force"], {}) == 1
    assert "one did not go live: the endpoint did not come up" in capsys.readouterr().err


def test_what_the_gate_refused_is_not_promoted_without_force(one: Model, capsys: Any) -> None:  # noqa: F811
    assert main(["dev", "one"], {}) == 1
    assert "the gate refused" in capsys.readouterr().err


def test_a_stage_that_is_not_deployed_promotes_nothing(capsys: Any) -> None:
    assert main(["prod", "base"], {}) == 1
    assert "WordsightApi-prod is not deployed here" in capsys.readouterr().err
