import json
from typing import Any

import botocore.session
import pytest

from contract.limits import EXPOSED_HEADERS
from contract.problems import PROBLEMS, Problem
from stacks.api.gateway_responses import IN_ITS_OWN_WORDS
from tests.stacks.conftest import Assembly, Synthesize

STATUSES = {
    "INVALID_API_KEY": "403",
    "REQUEST_TOO_LARGE": "413",
    "THROTTLED": "429",
    "INTEGRATION_TIMEOUT": "504",
    "INTEGRATION_FAILURE": "502",
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


def test_every_answer_that_api_gateway_knows_is_ours(dev: Assembly) -> None:
    model = botocore.session.get_session().get_service_model("apigateway")
    assert responses(dev).keys() == set(model.shape_for("GatewayResponseType").enum)


@pytest.mark.parametrize("response_type", STATUSES)
def test_an_answer_of_the_gateway_is_a_problem_of_the_contract(dev: Assembly, response_type: str) -> None:
    response = responses(dev)[response_type]
    problem = Problem.model_validate(body(response))
    assert str(problem.status) == response["StatusCode"] == STATUSES[response_type]
    assert problem.error == problem.detail
    assert problem.instance == "$context.requestId"


@pytest.mark.parametrize(("response_type", "status"), IN_ITS_OWN_WORDS.items())
def test_an_answer_in_api_gateways_words_is_a_problem_with_its_status(
    dev: Assembly, response_type: str, status: int
) -> None:
    response = responses(dev)[response_type]
    problem = Problem.model_validate(body(response))
    assert str(problem.status) == response["StatusCode"] == str(status)
    assert problem.detail == problem.error == "Its own words"
    ours = PROBLEMS.get(status)
    assert problem.type == (f"urn:wordsight:problem:{ours.slug}" if ours else "about:blank")


def test_a_request_that_is_too_large_names_the_limit_that_is_ours(dev: Assembly) -> None:
    detail = body(responses(dev)["REQUEST_TOO_LARGE"])["detail"]
    assert "4 MB together" in detail
    assert "10 MB" not in detail  # Lambda's 6 MB are reported as the same


def test_nobody_is_told_to_send_again_and_again_what_the_function_cannot_take(dev: Assembly) -> None:
    response = responses(dev)["INTEGRATION_FAILURE"]
    assert "gatewayresponse.header.Retry-After" not in response["ResponseParameters"]
    assert "large" in body(response)["detail"]


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


def test_a_browser_elsewhere_may_read_of_an_error_what_it_may_read_of_an_answer(dev: Assembly, prod: Assembly) -> None:
    name = "gatewayresponse.header.Access-Control-Expose-Headers"
    assert {each["ResponseParameters"].get(name) for each in responses(dev).values()} == {None}
    assert {each["ResponseParameters"][name] for each in responses(prod).values()} == {f"'{','.join(EXPOSED_HEADERS)}'"}
