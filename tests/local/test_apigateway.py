"""A REST API on the emulator, as its caller meets it."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from local import apigateway
from local.settings import LocalSettings
from tests.local.emulated import ROLE_OF_A_FUNCTION, deployed

FUNCTION = """
import time


def handler(event, context):
    if event["path"] == "/raise":
        raise ValueError("the database password is 1234")
    if event["path"] == "/malformed":
        return {"label": "cat"}
    if event["path"] == "/nothing":
        return {"statusCode": 204, "body": None}
    if event["path"] == "/sleep":
        time.sleep(35)
    return {"statusCode": 200, "body": str(len(event["body"] or ""))}
"""


def api() -> str:
    """A template with one REST API whose function answers everything."""
    function = {"Handler": "index.handler", "Runtime": "python3.14", "Code": {"ZipFile": FUNCTION}, "Timeout": 60}
    uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${Function.Arn}/invocations"
    integration = {"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": {"Fn::Sub": uri}}
    method = {
        "RestApiId": {"Ref": "Api"},
        "HttpMethod": "POST",
        "AuthorizationType": "NONE",
        "Integration": integration,
    }
    template = '{"detail": $context.error.messageString}'
    resources: dict[str, Any] = {
        "Role": ROLE_OF_A_FUNCTION,
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {**function, "Role": {"Fn::GetAtt": ["Role", "Arn"]}},
        },
        "Api": {
            "Type": "AWS::ApiGateway::RestApi",
            "Properties": {"Name": "api", "BinaryMediaTypes": ["image/*"]},
        },
        "Any": {
            "Type": "AWS::ApiGateway::Resource",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "ParentId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
                "PathPart": "{proxy+}",
            },
        },
        "Post": {"Type": "AWS::ApiGateway::Method", "Properties": {**method, "ResourceId": {"Ref": "Any"}}},
        "Errors": {
            "Type": "AWS::ApiGateway::GatewayResponse",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "ResponseType": "DEFAULT_5XX",
                "ResponseTemplates": {"application/json": template},
            },
        },
        "Deployment": {
            "Type": "AWS::ApiGateway::Deployment",
            "DependsOn": ["Post", "Errors"],
            "Properties": {"RestApiId": {"Ref": "Api"}, "StageName": "v1"},
        },
    }
    return json.dumps({"Resources": resources, "Outputs": {"Api": {"Value": {"Ref": "Api"}}}})


AUTHORIZER = """
def handler(event, context):
    allowed = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": event["methodArn"]}
    return {
        "principalId": "caller",
        "policyDocument": {"Version": "2012-10-17", "Statement": [allowed]},
        "usageIdentifierKey": event["headers"].get("authorization", "").removeprefix("Bearer "),
    }
"""
KEY = "a-key-of-twenty-characters"


def guarded() -> str:
    """The same API, which takes its keys from an authorizer and lets each ask twice."""
    template = json.loads(api())
    resources = template["Resources"]
    function = json.loads(json.dumps(resources["Function"]))
    function["Properties"]["Code"]["ZipFile"] = AUTHORIZER
    uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${AuthorizerFunction.Arn}/invocations"
    of_api = {"RestApiId": {"Ref": "Api"}}
    resources |= {
        "AuthorizerFunction": function,
        "Authorizer": {
            "Type": "AWS::ApiGateway::Authorizer",
            "Properties": {
                **{**of_api, "Name": "keys", "Type": "REQUEST", "IdentitySource": ""},
                **{"AuthorizerUri": {"Fn::Sub": uri}, "AuthorizerResultTtlInSeconds": 0},
            },
        },
        "Key": {"Type": "AWS::ApiGateway::ApiKey", "Properties": {"Name": "key", "Value": KEY, "Enabled": True}},
        "Plan": {
            "Type": "AWS::ApiGateway::UsagePlan",
            "DependsOn": "Deployment",
            "Properties": {
                "ApiStages": [{"ApiId": {"Ref": "Api"}, "Stage": "v1"}],
                "Throttle": {"RateLimit": 0.001, "BurstLimit": 2},
            },
        },
        "PlanKey": {
            "Type": "AWS::ApiGateway::UsagePlanKey",
            "Properties": {"KeyId": {"Ref": "Key"}, "KeyType": "API_KEY", "UsagePlanId": {"Ref": "Plan"}},
        },
    }
    resources["Api"]["Properties"]["ApiKeySourceType"] = "AUTHORIZER"
    resources["Post"]["Properties"] |= {
        **{"AuthorizationType": "CUSTOM", "AuthorizerId": {"Ref": "Authorizer"}, "ApiKeyRequired": True}
    }
    return json.dumps(template)


def test_an_api_may_take_its_key_from_an_authorizer_and_counts_by_it(system: LocalSettings, aws: Any) -> None:
    with deployed(aws, "guarded", guarded()) as stacks:
        api_id = stacks.describe_stacks(StackName="guarded")["Stacks"][0]["Outputs"][0]["OutputValue"]

        def status(**headers: str) -> int:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return send(system, api_id, "size", b"ab", "image/png", sent)[0]

        assert status() == status(authorization="Bearer another") == status(x_api_key=KEY) == 403
        assert [status(authorization=f"Bearer {KEY}") for _ in range(3)] == [200, 200, 429]


def send(
    system: LocalSettings, api_id: str, path: str, body: bytes, content_type: str, headers: dict[str, str]
) -> tuple[int, Any]:
    """The status and the JSON that is answered, None where there is none."""
    url = f"{system.endpoint_url}/_aws/execute-api/{api_id}/v1/{path}"
    request = urllib.request.Request(url, body, {"content-type": content_type, **headers})
    try:
        with urllib.request.urlopen(request, timeout=40) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture
def post(system: LocalSettings, aws: Any) -> Iterator[Any]:
    """Posts to the API of the template above; answers with status and JSON, None where there is none."""
    with deployed(aws, "api", api()) as stacks:
        api_id = stacks.describe_stacks(StackName="api")["Stacks"][0]["Outputs"][0]["OutputValue"]

        yield lambda path, body=b"": send(system, api_id, path, body, "image/png", {})


@pytest.mark.parametrize("path", ["raise", "malformed"])
def test_a_function_that_fails_is_a_502_without_its_words(post: Any, path: str) -> None:
    assert post(path) == (502, {"detail": "Internal server error"})


def test_a_function_may_answer_without_a_body(post: Any) -> None:
    assert post("nothing") == (204, None)


def test_a_body_over_the_limits_of_api_gateway_or_lambda_never_reaches_the_function(post: Any) -> None:
    biggest = 4_500_000
    assert post("size", bytes(biggest)) == (200, len(base64.b64encode(bytes(biggest))))
    assert post("size", bytes(5_000_000)) == (413, {"message": "Request Too Long"})
    assert post("size", bytes(apigateway.MAX_BODY_BYTES + 1)) == (413, {"message": "Request Too Long"})


@pytest.mark.slow
def test_a_function_that_outlasts_api_gateway_is_a_504(post: Any) -> None:
    assert post("sleep") == (504, {"detail": "Endpoint request timed out"})
