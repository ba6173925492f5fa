from typing import Any

import pytest

from contract.limits import API_KEY_HEADER
from lambdas.authorize.main import NO_KEY, handler

METHOD = "arn:aws:execute-api:us-east-1:123456789012:abcdef/v1/POST/classify"
KEY = "9aa41cdcfb0f40d28c4ba3308d311a47"


def asked(headers: dict[str, str] | None) -> Any:
    return handler({"type": "REQUEST", "methodArn": METHOD, "headers": headers}, None)


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


def test_what_it_allows_is_the_one_method_that_is_asked() -> None:
    (statement,) = asked({})["policyDocument"]["Statement"]
    assert statement == {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": METHOD}
