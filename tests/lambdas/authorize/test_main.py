from typing import Any

import pytest

from contract.keys import ASK_KEY_PREFIX
from contract.limits import API_KEY_HEADER
from contract.routes import ASK_ROUTES, GET_TASK, ROUTES, Route
from lambdas.authorize.main import NO_KEY, handler
from lambdas.settings import AuthorizeSettings

METHOD = "arn:aws:execute-api:us-east-1:123456789012:abcdef/v1/POST/classify"
KEY = "9aa41cdcfb0f40d28c4ba3308d311a47"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AuthorizeSettings(ask_routes=tuple(route.name for route in ASK_ROUTES)).to_env().items():
        monkeypatch.setenv(name, value)


def asked(headers: dict[str, str] | None, route: Route = GET_TASK) -> Any:
    place = {"httpMethod": route.method, "resource": route.path}
    return handler({"type": "REQUEST", "methodArn": METHOD, **place, "headers": headers}, None)


@pytest.mark.parametrize(
    "headers",
    [
        {API_KEY_HEADER: KEY},
        {"X-Api-Key": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {API_KEY_HEADER: KEY, "authorization": "Bearer hf_another"},
        {API_KEY_HEADER: "", "authorization": f"Bearer {KEY}"},
    ],
)
def test_a_key_is_found_in_its_header_or_behind_bearer(headers: dict[str, str]) -> None:
    assert asked(headers)["usageIdentifierKey"] == KEY


@pytest.mark.parametrize(
    "headers",
    [None, {}, {"authorization": "Bearer"}, {"authorization": f"Basic {KEY}"}, {"authorization": KEY}],
)
def test_where_none_was_sent_it_names_one_that_no_plan_can_have(headers: dict[str, str] | None) -> None:
    assert asked(headers)["usageIdentifierKey"] == NO_KEY
    assert len(NO_KEY) < 20  # https://docs.aws.amazon.com/apigateway/latest/api/API_CreateApiKey.html


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_key_that_may_only_ask_is_denied_every_other_route_and_one_that_manages_none(route: Route) -> None:
    for key, allowed in ((ASK_KEY_PREFIX + KEY, route in ASK_ROUTES), (KEY, True), ("", True)):
        for headers in ({API_KEY_HEADER: key}, {"authorization": f"Bearer {key}"}):
            (statement,) = asked(headers, route)["policyDocument"]["Statement"]
            assert statement["Effect"] == ("Allow" if allowed else "Deny")
            assert statement["Resource"] == METHOD


def test_what_it_allows_is_the_one_method_that_is_asked() -> None:
    (statement,) = asked({})["policyDocument"]["Statement"]
    assert statement == {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": METHOD}
