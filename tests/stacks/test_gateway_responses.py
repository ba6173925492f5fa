import json
from typing import Any

import pytest

from model.contract import Problem
from tests.stacks.conftest import Assembly, Synthesize

STATUSES = {
    "INVALID_API_KEY": "403",
    "REQUEST_TOO_LARGE": "413",
    "THROTTLED": "429",
    "INTEGRATION_TIMEOUT": "504",
    "INTEGRATION_FAILURE": "504",
    "MISSING_AUTHENTICATION_TOKEN": "404",
}


def responses(assembly: Assembly) -> dict[str, dict[str, Any]]:
    found = (each["Properties"] for each in assembly.api.of_type("AWS::ApiGateway::GatewayResponse").values())
    return {each["ResponseType"]: each for each in found}


def body(response: dict[str, Any]) -> dict[str, Any]:
    """As API Gateway renders it: `$context.error.messageString` brings its own quotation marks."""
    template = response["ResponseTemplates"]["application/json"]
    rendered: dict[str, Any] = json.loads(template.replace("$context.error.messageString", '"Its own words"'))
    return rendered


def test_what_has_no_answer_of_its_own_takes_a_default(dev: Assembly) -> None:
    assert responses(dev).keys() == {*STATUSES, "DEFAULT_4XX", "DEFAULT_5XX"}


@pytest.mark.parametrize("response_type", STATUSES)
def test_an_answer_of_the_gateway_is_a_problem_of_the_contract(dev: Assembly, response_type: str) -> None:
    response = responses(dev)[response_type]
    problem = Problem.model_validate(body(response))
    assert str(problem.status) == response["StatusCode"] == STATUSES[response_type]
    assert problem.error == problem.detail
    assert problem.instance == "$context.requestId"


@pytest.mark.parametrize("response_type", ["DEFAULT_4XX", "DEFAULT_5XX"])
def test_a_default_keeps_the_status_and_says_what_the_gateway_says(dev: Assembly, response_type: str) -> None:
    response = responses(dev)[response_type]
    assert "StatusCode" not in response
    assert body(response)["detail"] == body(response)["error"] == "Its own words"


def test_every_answer_carries_its_type_and_the_request_id(dev: Assembly) -> None:
    for response in responses(dev).values():
        parameters = response["ResponseParameters"]
        assert parameters["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        assert parameters["gatewayresponse.header.x-request-id"] == "context.requestId"


def test_a_caller_who_is_too_fast_is_told_when_to_come_back(dev: Assembly) -> None:
    throttled = responses(dev)["THROTTLED"]
    assert throttled["ResponseParameters"]["gatewayresponse.header.Retry-After"] == "'1'"
    assert body(throttled)["retry_after_s"] == 1


def test_a_missing_key_is_told_which_header_to_send(dev: Assembly) -> None:
    assert "x-api-key" in body(responses(dev)["INVALID_API_KEY"])["detail"]


def test_with_iam_an_unknown_route_may_also_be_a_missing_signature(prod: Assembly) -> None:
    answer = responses(prod)["MISSING_AUTHENTICATION_TOKEN"]
    assert answer["StatusCode"] == "403"
    assert "SigV4" in body(answer)["detail"]


def test_browsers_can_read_errors_where_origins_are_configured(
    synthesize: Synthesize, dev: Assembly, prod: Assembly
) -> None:
    name = "gatewayresponse.header.Access-Control-Allow-Origin"
    assert {each["ResponseParameters"].get(name) for each in responses(dev).values()} == {None}
    assert {each["ResponseParameters"][name] for each in responses(prod).values()} == {"'*'"}
    one = synthesize(cors_origins="https://one.example")
    assert {each["ResponseParameters"][name] for each in responses(one).values()} == {"'https://one.example'"}
