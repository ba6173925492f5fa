import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from contract.keys import kind_of
from operate.keys import PLAN_PAUSE_S, Keys, main
from operate.stage import OperatorError, Stage
from stacks.config import StageConfig


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


def stage_with_an_api(cloudformation: Any, stage: str) -> Keys:
    """The keys of a stage whose API is there, with a stage of its own."""
    integration = {"Type": "MOCK", "IntegrationHttpMethod": "GET", "Uri": "arn:aws:apigateway:mock"}
    root = {"Fn::GetAtt": ["Api", "RootResourceId"]}
    method = {"RestApiId": {"Ref": "Api"}, "ResourceId": root, "HttpMethod": "GET", "AuthorizationType": "NONE"}
    resources = {
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": f"wordsight-{stage}"}},
        "Get": {"Type": "AWS::ApiGateway::Method", "Properties": {**method, "Integration": integration}},
        "Deployment": {
            "Type": "AWS::ApiGateway::Deployment",
            "DependsOn": "Get",
            "Properties": {"RestApiId": {"Ref": "Api"}, "StageName": "v1"},
        },
    }
    template = {"Resources": resources, "Outputs": {"ApiKeyId": {"Value": "own"}}}
    cloudformation.create_stack(StackName=f"WordsightApi-{stage}", TemplateBody=json.dumps(template))
    return Keys(Stage(StageConfig(stage=stage), boto3.client))


def values() -> dict[str, str]:
    """Of all keys in the account, by their physical names."""
    keys = boto3.client("apigateway").get_api_keys(includeValues=True)["items"]
    return {key["name"]: key["value"] for key in keys}


def test_a_key_is_made_with_its_kind_in_its_value_and_a_plan_of_its_own(cloudformation: Any) -> None:
    keys = stage_with_an_api(cloudformation, "dev")
    asks = keys.create("phone", "ask", 1000, 2.5)
    manages = keys.create("trainer", "manage", None, None)
    assert (kind_of(asks), kind_of(manages)) == ("ask", "manage")
    assert asks != manages and min(len(asks), len(manages)) >= 40
    assert values() == {"wordsight-dev-phone": asks, "wordsight-dev-trainer": manages}
    assert [(key.name, key.kind) for key in keys.all()] == [("phone", "ask"), ("trainer", "manage")]
    phone, trainer = keys.plans()["phone"], keys.plans()["trainer"]
    assert (phone.quota_per_day, phone.rate_rps) == (1000, 2.5)
    assert (trainer.quota_per_day, trainer.rate_rps) == (None, None)
    client = boto3.client("apigateway")
    (api,) = client.get_rest_apis()["items"]
    assert phone.stages == trainer.stages == (f"{api['id']}:v1",)
    (in_plan,) = client.get_usage_plan_keys(usagePlanId=phone.id)["items"]
    assert in_plan["id"] == keys.all()[0].id
    plan = client.get_usage_plan(usagePlanId=phone.id)
    assert plan["quota"]["period"] == "DAY" and plan["throttle"]["burstLimit"] == 3
    assert plan["tags"] == {"application": "wordsight", "stage": "dev", "key": "phone", "kind": "ask"}


def test_a_name_is_given_once_on_each_stage_and_is_none_of_another_stages(cloudformation: Any) -> None:
    keys, others = (stage_with_an_api(cloudformation, stage) for stage in ("dev", "prod"))
    value = keys.create("phone", "ask", None, None)
    with pytest.raises(OperatorError, match="there is a key 'phone' already"):
        keys.create("phone", "manage", None, None)
    other = others.create("phone", "manage", None, None)
    assert others.revoke_all() == ["phone"]
    assert (others.all(), others.plans()) == ([], {})
    assert other not in values().values() and value in values().values()


@pytest.mark.parametrize("name", ["", "Phone", "-phone", "a b", "a" * 41])
def test_a_name_that_is_none_is_refused_before_anything_is_made(cloudformation: Any, name: str) -> None:
    keys = stage_with_an_api(cloudformation, "dev")
    with pytest.raises(OperatorError, match="allowed are at most 40 lower-case letters"):
        keys.create(name, "ask", None, None)
    assert boto3.client("apigateway").get_usage_plans()["items"] == []


def test_a_rotation_keeps_kind_and_plan_and_the_old_value_goes(cloudformation: Any) -> None:
    keys = stage_with_an_api(cloudformation, "dev")
    old, plan = keys.create("phone", "ask", 7, 1.0), keys.plans()["phone"]
    new = keys.rotate("phone")
    assert (kind_of(new), list(values().values())) == ("ask", [new])
    assert new != old and keys.plans() == {"phone": plan}
    in_plan = boto3.client("apigateway").get_usage_plan_keys(usagePlanId=plan.id)["items"]
    assert keys.all()[0].id in [each["id"] for each in in_plan]


def test_after_a_rotation_that_was_cut_off_the_next_one_leaves_one_key(cloudformation: Any) -> None:
    keys = stage_with_an_api(cloudformation, "dev")
    keys.create("phone", "ask", None, None)
    tags = {"application": "wordsight", "stage": "dev", "key": "phone", "kind": "ask"}
    boto3.client("apigateway").create_api_key(name="wordsight-dev-phone", value="ask-" + "0" * 40, tags=tags)
    assert len(keys.all()) == 2
    new = keys.rotate("phone")
    assert list(values().values()) == [new]


def test_a_revoked_key_goes_with_its_plan_and_its_name_is_free(cloudformation: Any) -> None:
    keys = stage_with_an_api(cloudformation, "dev")
    keys.create("phone", "ask", None, None)
    keys.create("trainer", "manage", None, None)
    keys.revoke("phone")
    assert ([key.name for key in keys.all()], [*keys.plans()]) == (["trainer"], ["trainer"])
    keys.create("phone", "manage", None, None)
    for change in (keys.revoke, keys.rotate):
        with pytest.raises(OperatorError, match="there is no key 'tablet', there are: phone, trainer"):
            change("tablet")


def test_plans_that_may_be_changed_every_20_seconds_only_are_waited_for(cloudformation: Any) -> None:
    waited: list[float] = []
    keys = stage_with_an_api(cloudformation, "dev")
    patient = Keys(Stage(StageConfig(stage="dev"), lambda service: refusing_once(boto3.client(service))), waited.append)
    keys.create("phone", "ask", None, None)
    patient.revoke("phone")
    assert waited == [PLAN_PAUSE_S] and not keys.plans()


def refusing_once(client: Any) -> Any:
    """A client of API Gateway whose first change of a plan comes too soon after another."""
    refusal = {"Error": {"Code": "TooManyRequestsException", "Message": "Too Many Requests"}}
    errors = [client.exceptions.TooManyRequestsException(refusal, "UpdateUsagePlan")]

    def refuse(**_: Any) -> None:
        if errors:
            raise errors.pop()

    client.meta.events.register("before-call.api-gateway.UpdateUsagePlan", refuse)
    return client


def test_what_a_creation_has_left_that_was_cut_off_can_be_revoked(cloudformation: Any) -> None:
    keys = stage_with_an_api(cloudformation, "dev")
    tags = {"application": "wordsight", "stage": "dev", "key": "phone", "kind": "ask"}
    boto3.client("apigateway").create_usage_plan(name="wordsight-dev-phone", tags=tags)
    with pytest.raises(OperatorError, match="there is a key 'phone' already"):
        keys.create("phone", "ask", None, None)
    keys.revoke("phone")
    assert keys.plans() == {}


def test_commands_print_a_value_once_and_the_list_has_none(
    cloudformation: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stage_with_an_api(cloudformation, "dev")
    assert main(["dev", "list"]) == 0
    assert capsys.readouterr().out == "there is none but the stage's own: make api-key\n"
    assert main(["dev", "create", "phone", "--kind", "ask", "--quota-per-day", "1000", "--rate-rps", "5"]) == 0
    value = capsys.readouterr().out.strip()
    assert kind_of(value) == "ask"
    assert main(["dev", "list"]) == 0
    listed = capsys.readouterr().out
    assert listed.splitlines()[1].split()[:2] == ["phone", "ask"] and "1,000" in listed and value not in listed
    assert main(["dev", "rotate", "phone"]) == 0
    assert capsys.readouterr().out.strip() in values().values()
    assert main(["dev", "revoke", "phone"]) == 0
    assert (capsys.readouterr().out, values()) == ("phone is revoked\n", {})
    assert main(["dev", "revoke", "phone"]) == 1
    assert capsys.readouterr().err == "there is no key 'phone', there are: none\n"


@pytest.mark.parametrize("wrong", [["--kind", "all"], [], ["--kind", "ask", "--quota-per-day", "0"]])
def test_a_command_that_is_not_complete_makes_nothing(cloudformation: Any, wrong: list[str]) -> None:
    stage_with_an_api(cloudformation, "dev")
    with pytest.raises(SystemExit):
        main(["dev", "create", "phone", *wrong])
    assert values() == {}


def test_a_stage_that_asks_for_no_key_makes_none(cloudformation: Any, capsys: pytest.CaptureFixture[str]) -> None:
    deploy(cloudformation, "prod", ApiUrl="https://prod.example/v1/")
    assert main(["prod", "create", "phone", "--kind", "ask"]) == 1
    assert "prod asks for no API key" in capsys.readouterr().err


def test_the_key_is_that_of_the_stage(cloudformation: Any, capsys: pytest.CaptureFixture[str]) -> None:
    key = boto3.client("apigateway").create_api_key(name="key", value="secret-secret-secret")
    deploy(cloudformation, "dev", ApiUrl="https://dev.example/v1/", ApiKeyId=key["id"])
    deploy(cloudformation, "prod", ApiUrl="https://prod.example/v1/")
    assert main(["dev", "own"]) == 0
    assert capsys.readouterr().out == "secret-secret-secret\n"


def test_the_region_is_the_one_that_the_cdk_deploys_to(
    cloudformation: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = boto3.client("apigateway").create_api_key(name="key", value="secret-secret-secret")
    deploy(cloudformation, "dev", ApiUrl="https://dev.example/v1/", ApiKeyId=key["id"])
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert main(["dev", "own"]) == 0
    assert capsys.readouterr().out == "secret-secret-secret\n"


def test_a_stage_that_asks_for_no_key_says_so(cloudformation: Any, capsys: pytest.CaptureFixture[str]) -> None:
    deploy(cloudformation, "prod", ApiUrl="https://prod.example/v1/")
    assert main(["prod", "own"]) == 1
    assert "prod asks for no API key" in capsys.readouterr().err


def test_what_is_wrong_is_said_in_a_sentence(cloudformation: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dev", "own"]) == 1
    assert capsys.readouterr().err == "WordsightApi-dev is not deployed here: make deploy STAGE=dev\n"
    assert main(["dev", "-c", "auth=all", "own"]) == 1
    assert "auth is 'all'" in capsys.readouterr().err
