import json
import re

import pytest

from contract.limits import API_TIMEOUT_S
from contract.routes import ROUTES
from tests.stacks.conftest import Assembly, Resource, Synthesize, flat


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
    return (
        "api_key" if method["ApiKeyRequired"] else {"AWS_IAM": "iam", "NONE": "none"}[str(method["AuthorizationType"])]
    )


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
    assert called == answering(dev).keys()


@pytest.mark.parametrize("mode", ["api_key", "iam", "none"])
def test_open_routes_are_open_and_all_others_follow_the_auth_mode(synthesize: Synthesize, mode: str) -> None:
    found = methods(synthesize(auth=mode))
    for route in ROUTES:
        assert auth(found[route.method, route.path]) == ("none" if route.open else mode), route.path


def test_only_the_api_key_mode_makes_a_key(synthesize: Synthesize, dev: Assembly) -> None:
    assert dev.api.outputs["ApiKeyId"].startswith("${ApiKey")
    for mode in ("iam", "none"):
        api = synthesize(auth=mode).api
        assert "ApiKeyId" not in api.outputs
        assert not api.of_type("AWS::ApiGateway::ApiKey")
        assert not api.of_type("AWS::ApiGateway::UsagePlan")


def test_the_keys_value_is_nowhere_in_the_template(dev: Assembly) -> None:
    assert "Value" not in dev.api.the("AWS::ApiGateway::ApiKey")


def test_the_stage_and_the_plan_are_throttled(synthesize: Synthesize) -> None:
    api = synthesize(throttling_rate_rps="7", throttling_burst="9").api
    (every_method,) = api.the("AWS::ApiGateway::Stage")["MethodSettings"]
    assert (every_method["HttpMethod"], every_method["ResourcePath"]) == ("*", "/*")
    assert (every_method["ThrottlingRateLimit"], every_method["ThrottlingBurstLimit"]) == (7, 9)
    assert api.the("AWS::ApiGateway::UsagePlan")["Throttle"] == {"RateLimit": 7, "BurstLimit": 9}


def test_images_and_forms_arrive_as_they_were_sent_and_json_as_text(dev: Assembly) -> None:
    types = dev.api.the("AWS::ApiGateway::RestApi")["BinaryMediaTypes"]
    assert types == ["image/*", "multipart/form-data", "application/octet-stream"]


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


def test_requests_are_traced(dev: Assembly) -> None:
    assert dev.api.the("AWS::ApiGateway::Stage")["TracingEnabled"] is True


def test_logging_has_the_accounts_role_which_stays(dev: Assembly) -> None:
    (account,) = dev.api.of_type("AWS::ApiGateway::Account").values()
    assert account["DeletionPolicy"] == "Retain"


def test_browsers_of_other_sites_are_let_in_only_where_origins_are_configured(dev: Assembly, prod: Assembly) -> None:
    assert not [verb for verb, _ in methods(dev) if verb == "OPTIONS"]
    preflight = {path for verb, path in methods(prod) if verb == "OPTIONS"}
    assert preflight == {route.path for route in ROUTES}


def test_a_preflight_request_needs_neither_key_nor_signature(prod: Assembly) -> None:
    assert {auth(method) for (verb, _), method in methods(prod).items() if verb == "OPTIONS"} == {"none"}


def test_browsers_may_send_conditions_and_idempotency_keys_and_read_etags(prod: Assembly) -> None:
    preflight = json.dumps(methods(prod)["OPTIONS", "/tasks/{task}"])
    for header in ("if-match", "if-none-match", "idempotency-key", "x-api-key", "etag"):
        assert re.search(rf"\b{header}\b", preflight), header


def test_the_address_has_no_slash_at_its_end(dev: Assembly) -> None:
    (api,) = dev.api.of_type("AWS::ApiGateway::RestApi")
    assert dev.api.outputs["ApiUrl"] == f"https://${{{api}}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/v1"
    assert [name for name, value in dev.api.outputs.items() if "execute-api" in value] == ["ApiUrl"]


def test_a_changed_answer_of_the_gateway_is_deployed(synthesize: Synthesize, dev: Assembly) -> None:
    changed = synthesize(throttling_rate_rps="7", throttling_burst="9")
    assert (
        dev.api.of_type("AWS::ApiGateway::Deployment").keys()
        != changed.api.of_type("AWS::ApiGateway::Deployment").keys()
    )
