import json
import re
from fnmatch import fnmatch
from typing import Any

import botocore.session
import pytest

from contract.limits import API_TIMEOUT_S, EXPOSED_HEADERS
from contract.problems import PROBLEMS, Problem
from contract.routes import ROUTES
from lambdas.settings import AuthorizeSettings
from stacks.api.stack import IN_ITS_OWN_WORDS
from stacks.stage_files import from_context, stage_config
from tests.stacks.conftest import DEV, PROD, Assembly, Resource, Synthesize, flat, listed


def methods(assembly: Assembly) -> dict[tuple[str, str], dict[str, object]]:
    """The properties of every method by (verb, path)."""
    resources = assembly.api.of_type("AWS::ApiGateway::Resource")

    def path(reference: object) -> str:
        id = flat(reference).removeprefix("${").removesuffix("}")
        if id.endswith(".RootResourceId"):
            return ""
        return f"{path(resources[id]['Properties']['ParentId'])}/{resources[id]['Properties']['PathPart']}"

    found = (each["Properties"] for each in assembly.api.of_type("AWS::ApiGateway::Method").values())
    return {(each["HttpMethod"], path(each["ResourceId"]) or "/"): each for each in found}


def answering(assembly: Assembly) -> dict[str, Resource]:
    """The functions that answer routes; others of the stack are called by state machines."""
    handlers = {f"lambdas.{route.function}.main.handler" for route in ROUTES}
    functions = assembly.api.of_type("AWS::Lambda::Function")
    return {id: each for id, each in functions.items() if each["Properties"]["Handler"] in handlers}


def auth(method: dict[str, object]) -> str:
    assert method["ApiKeyRequired"] is (method["AuthorizationType"] == "CUSTOM")
    return {"CUSTOM": "api_key", "AWS_IAM": "iam", "NONE": "none"}[str(method["AuthorizationType"])]


def test_the_api_has_exactly_the_routes_of_the_table(dev: Assembly) -> None:
    assert methods(dev).keys() == {(route.method, route.path) for route in ROUTES}


def test_every_route_leads_to_its_function(dev: Assembly) -> None:
    found = methods(dev)
    for route in ROUTES:
        integration = dict(found[route.method, route.path]["Integration"])  # type: ignore[call-overload]
        function = "Train" if route.function == "manage" else route.function.capitalize()  # its id is of older days
        assert f"${{{function}Function" in flat(integration["Uri"]), route.path


def test_the_api_may_call_every_function(dev: Assembly) -> None:
    permissions = dev.api.of_type("AWS::Lambda::Permission").values()
    called = {flat(each["Properties"]["FunctionName"]).removesuffix(".Arn}").removeprefix("${") for each in permissions}
    (authorize,) = (id for id in dev.api.of_type("AWS::Lambda::Function") if id.startswith("Authorize"))
    assert called == answering(dev).keys() | {authorize}


@pytest.mark.parametrize("mode", ["api_key", "iam"])
def test_open_routes_are_open_and_all_others_follow_the_auth_mode(synthesize: Synthesize, mode: str) -> None:
    found = methods(synthesize(**DEV, auth=mode))
    for route in ROUTES:
        assert auth(found[route.method, route.path]) == ("none" if route.open else mode), route.path


def test_without_auth_only_asking_is_open_and_what_costs_or_destroys_takes_a_signature(synthesize: Synthesize) -> None:
    assembly = synthesize(**DEV, auth="none")
    found = methods(assembly)
    shown = {route: auth(found[route.method, route.path]) for route in ROUTES}
    assert shown == {route: "iam" if route.needs == "manage" else "none" for route in ROUTES}
    answer = responses(assembly)["MISSING_AUTHENTICATION_TOKEN"]
    assert answer["StatusCode"] == "403"
    detail = body(answer)["detail"]
    assert "not signed with AWS credentials" in detail
    assert detail.endswith("without a signature this stage (auth=none) takes " + ", ".join(ask_routes()))


def ask_routes() -> list[str]:
    return [route.name for route in ROUTES if route.needs == "ask"]


def test_a_key_that_may_only_ask_is_told_what_it_may_and_who_makes_another(dev: Assembly, prod: Assembly) -> None:
    answer = responses(dev)["ACCESS_DENIED"]
    assert answer["StatusCode"] == "403"
    detail = body(answer)["detail"]
    assert "may ask only, which is " + ", ".join(ask_routes()) in detail
    assert "wordsight-dev" in detail and "make key DO=create" in detail
    for name in ("ACCESS_DENIED", "INVALID_API_KEY", "QUOTA_EXCEEDED"):  # without keys none of that would be true
        assert body(responses(prod)[name])["detail"] == "Its own words"
    assert "quota" in body(responses(dev)["QUOTA_EXCEEDED"])["detail"]


def test_the_authorizer_knows_what_a_key_that_may_only_ask_opens(dev: Assembly) -> None:
    variables = dev.api.the("AWS::Lambda::Function", "Authorize")["Environment"]["Variables"]
    assert AuthorizeSettings.from_env(variables).ask_routes == tuple(ask_routes())


def test_where_callers_sign_two_policies_that_nobody_has_say_who_may_ask_and_who_may_all(
    synthesize: Synthesize, prod: Assembly, dev: Assembly
) -> None:
    (api,) = prod.api.of_type("AWS::ApiGateway::RestApi")
    stage = f"arn:${{AWS::Partition}}:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{{api}}}/v1/"
    policies = prod.api.of_type("AWS::IAM::ManagedPolicy")
    granted = {}
    for name in ("Invoke", "Admin"):
        properties = policies[prod.api.outputs[f"{name}PolicyArn"].removeprefix("${").removesuffix("}")]["Properties"]
        assert not {"Roles", "Users", "Groups"} & properties.keys()
        (statement,) = properties["PolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Allow", "execute-api:Invoke")
        granted[name] = {flat(each).removeprefix(stage) for each in listed(statement["Resource"])}
    tasks = {"GET/tasks", "GET/tasks/*"}
    assert granted == {"Invoke": {"POST/classify", "POST/embed", "POST/uploads", *tasks}, "Admin": {"*/*"}}
    allowed = {route for route in ROUTES if any(fnmatch(route.method + route.path, each) for each in granted["Invoke"])}
    assert {route.name for route in allowed} == set(ask_routes())
    none = synthesize(**DEV, auth="none").api
    assert [name for name in none.outputs if name.endswith("PolicyArn")] == ["AdminPolicyArn"]
    assert not dev.api.of_type("AWS::IAM::ManagedPolicy")


def test_a_key_comes_from_the_authorizer_which_is_asked_about_every_request(dev: Assembly) -> None:
    assert dev.api.the("AWS::ApiGateway::RestApi")["ApiKeySourceType"] == "AUTHORIZER"
    (authorizer,) = dev.api.of_type("AWS::ApiGateway::Authorizer")
    guarded = [method for method in methods(dev).values() if auth(method) == "api_key"]
    assert {flat(method["AuthorizerId"]) for method in guarded} == {f"${{{authorizer}}}"}
    properties = dev.api.the("AWS::ApiGateway::Authorizer")
    # What is remembered would be looked up by all of the headers: who sends one of two would be a 401.
    assert (properties["Type"], properties["AuthorizerResultTtlInSeconds"]) == ("REQUEST", 0)
    assert properties["IdentitySource"] == ""
    assert "${AuthorizeFunction" in flat(properties["AuthorizerUri"])


def test_only_the_api_key_mode_makes_a_key(synthesize: Synthesize, dev: Assembly) -> None:
    assert dev.api.outputs["ApiKeyId"].startswith("${ApiKey")
    for mode in ("iam", "none"):
        api = synthesize(**DEV, auth=mode).api
        assert "ApiKeyId" not in api.outputs
        assert not api.of_type("AWS::ApiGateway::ApiKey")
        assert not api.of_type("AWS::ApiGateway::UsagePlan")
        assert not api.of_type("AWS::ApiGateway::Authorizer")
        assert "ApiKeySourceType" not in api.the("AWS::ApiGateway::RestApi")


def test_the_keys_value_is_nowhere_in_the_template(dev: Assembly) -> None:
    assert "Value" not in dev.api.the("AWS::ApiGateway::ApiKey")


def test_the_stage_and_the_plan_are_throttled(tuned: Assembly) -> None:
    api = tuned.api
    (every_method,) = api.the("AWS::ApiGateway::Stage")["MethodSettings"]
    assert (every_method["HttpMethod"], every_method["ResourcePath"]) == ("*", "/*")
    assert (every_method["ThrottlingRateLimit"], every_method["ThrottlingBurstLimit"]) == (7, 9)
    assert api.the("AWS::ApiGateway::UsagePlan")["Throttle"] == {"RateLimit": 7, "BurstLimit": 9}


def test_images_and_forms_arrive_as_they_were_sent_and_json_as_text(dev: Assembly) -> None:
    types = dev.api.the("AWS::ApiGateway::RestApi")["BinaryMediaTypes"]
    assert types == ["image/*", "multipart/form-data", "application/octet-stream", "application/x-image"]


def test_the_api_is_regional_and_waits_longer_than_the_function_runs(dev: Assembly) -> None:
    assert dev.api.the("AWS::ApiGateway::RestApi")["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    function_timeout_s = max(function["Properties"]["Timeout"] for function in answering(dev).values())
    for method in methods(dev).values():
        integration = dict(method["Integration"])  # type: ignore[call-overload]
        assert integration["TimeoutInMillis"] == API_TIMEOUT_S * 1000 > function_timeout_s * 1000
        assert integration["Type"] == "AWS_PROXY"


def test_no_validator_answers_before_our_own_sentence(dev: Assembly) -> None:
    assert not dev.api.of_type("AWS::ApiGateway::RequestValidator")
    assert not dev.api.of_type("AWS::ApiGateway::Model")


def test_every_request_leaves_one_json_line(dev: Assembly) -> None:
    line = json.loads(dev.api.the("AWS::ApiGateway::Stage")["AccessLogSetting"]["Format"])
    assert {"request_id", "status", "path", "latency_ms", "error_type"} <= line.keys()


def test_execution_logs_hold_no_requests_and_end_with_the_stack(dev: Assembly) -> None:
    (every_method,) = dev.api.the("AWS::ApiGateway::Stage")["MethodSettings"]
    assert every_method["LoggingLevel"] == "ERROR"
    assert every_method["DataTraceEnabled"] is False
    ((id, group),) = (
        (id, each) for id, each in dev.api.of_type("AWS::Logs::LogGroup").items() if id.startswith("ExecutionLogs")
    )
    (api,) = dev.api.of_type("AWS::ApiGateway::RestApi")
    assert flat(group["Properties"]["LogGroupName"]) == f"API-Gateway-Execution-Logs_${{{api}}}/v1"
    (stage,) = dev.api.of_type("AWS::ApiGateway::Stage").values()
    assert id in stage["DependsOn"]


def test_a_stage_may_use_the_accounts_role_for_logs_as_it_is(tuned: Assembly) -> None:
    assert not tuned.api.of_type("AWS::ApiGateway::Account")
    assert not [id for id in tuned.api.of_type("AWS::IAM::Role") if "CloudWatchRole" in id]
    assert "AccessLogSetting" in tuned.api.the("AWS::ApiGateway::Stage")
    (every_method,) = tuned.api.the("AWS::ApiGateway::Stage")["MethodSettings"]
    assert every_method["LoggingLevel"] == "ERROR"


def test_a_stage_may_log_no_requests_and_needs_no_role_then(adopting: Assembly) -> None:
    assert not adopting.api.of_type("AWS::ApiGateway::Account")
    assert not [id for id in adopting.api.of_type("AWS::IAM::Role") if "CloudWatchRole" in id]
    assert "AccessLogSetting" not in adopting.api.the("AWS::ApiGateway::Stage")
    (every_method,) = adopting.api.the("AWS::ApiGateway::Stage")["MethodSettings"]
    assert every_method["LoggingLevel"] == "OFF"
    assert not [id for id in adopting.api.of_type("AWS::Logs::LogGroup") if id.startswith(("Access", "Execution"))]


def test_metrics_by_method_are_paid_for_only_where_they_are_wanted(dev: Assembly, tuned: Assembly) -> None:
    enabled = [each.api.the("AWS::ApiGateway::Stage")["MethodSettings"][0]["MetricsEnabled"] for each in (dev, tuned)]
    assert enabled == [False, True]


def test_it_remembers_the_configuration_that_the_next_deployment_is_compared_with(
    dev: Assembly, prod: Assembly
) -> None:
    assert dev.api.outputs["Configuration"] == stage_config("dev").configuration
    assert json.loads(prod.api.outputs["Configuration"])["spot"] is True  # of the command line
    assert from_context(PROD).changes_from(prod.api.outputs["Configuration"]) == []


def test_requests_are_traced(dev: Assembly) -> None:
    assert dev.api.the("AWS::ApiGateway::Stage")["TracingEnabled"] is True


def test_logging_has_the_accounts_role_which_stays(dev: Assembly) -> None:
    (account,) = dev.api.of_type("AWS::ApiGateway::Account").values()
    assert account["DeletionPolicy"] == "Retain"


def test_browsers_of_other_sites_are_let_in_only_where_origins_are_configured(dev: Assembly, prod: Assembly) -> None:
    assert not [verb for verb, _ in methods(dev) if verb == "OPTIONS"]
    preflight = {path for verb, path in methods(prod) if verb == "OPTIONS"}
    above = {"/images"}  # has no route of its own, and is a resource all the same
    assert preflight == {route.path for route in ROUTES} | above


def test_a_preflight_request_needs_neither_key_nor_signature(prod: Assembly) -> None:
    assert {auth(method) for (verb, _), method in methods(prod).items() if verb == "OPTIONS"} == {"none"}


def test_browsers_may_send_conditions_and_idempotency_keys_and_read_etags(prod: Assembly) -> None:
    preflight = json.dumps(methods(prod)["OPTIONS", "/tasks/{task}"])
    for header in ("if-match", "if-none-match", "idempotency-key", "x-api-key", "authorization", "user-agent", "etag"):
        assert re.search(rf"\b{header}\b", preflight), header


def test_the_address_has_no_slash_at_its_end(dev: Assembly) -> None:
    (api,) = dev.api.of_type("AWS::ApiGateway::RestApi")
    assert dev.api.outputs["ApiUrl"] == f"https://${{{api}}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/v1"
    assert [name for name, value in dev.api.outputs.items() if "execute-api" in value] == ["ApiUrl"]


def test_a_changed_answer_of_the_gateway_is_deployed(dev: Assembly, tuned: Assembly) -> None:
    """The sentence about too many requests names the limit."""
    before, changed = (each.api.of_type("AWS::ApiGateway::Deployment").keys() for each in (dev, tuned))
    assert before != changed


STATUSES = {
    "ACCESS_DENIED": "403",
    "INVALID_API_KEY": "403",
    "QUOTA_EXCEEDED": "429",
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
    prod: Assembly, response_type: str, status: int
) -> None:
    response = responses(prod)[response_type]
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


def test_a_caller_who_is_too_fast_is_told_what_is_counted(dev: Assembly, prod: Assembly) -> None:
    """API Gateway throttles each method of a stage, and with a usage plan each key."""
    counted = "more than 50 requests per second to one route or with one API key: "
    assert body(responses(dev)["THROTTLED"])["detail"].startswith(counted)
    signed = body(responses(prod)["THROTTLED"])["detail"]
    assert signed.startswith("more than 50 requests per second to one route: ")


def test_a_missing_key_is_told_which_header_to_send(dev: Assembly) -> None:
    assert "x-api-key" in body(responses(dev)["INVALID_API_KEY"])["detail"]


def test_with_iam_an_unknown_route_may_also_be_a_missing_signature(prod: Assembly) -> None:
    answer = responses(prod)["MISSING_AUTHENTICATION_TOKEN"]
    assert answer["StatusCode"] == "403"
    assert "SigV4" in body(answer)["detail"]


@pytest.mark.slow
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
