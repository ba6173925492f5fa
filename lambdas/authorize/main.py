"""The API's authorizer: finds a request's API key, and refuses what a key of its kind may not call.

API Gateway itself finds a key in `x-api-key` only, and Hugging Face's JavaScript client, as many others, sends it as
`authorization: Bearer`. Whether the key is one of a usage plan's, and how much it may ask, API Gateway finds out after
this: no key is known here, nobody is asked, and nothing may be done.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
"""

from functools import cache
from typing import Any

from contract.keys import kind_of
from contract.limits import API_KEY_HEADER
from lambdas.settings import AuthorizeSettings

NO_KEY = "none"
"""Stands for a key that was not sent: a key of API Gateway has at least 20 characters."""


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """The answer to an authorizer's event of type REQUEST.

    What it denies never comes to API Gateway's look at the key: an unknown one that says of itself that it may only ask
    hears the same sentence.
    """
    headers = {name.lower(): value for name, value in (event["headers"] or {}).items()}
    scheme, _, bearer = headers.get("authorization", "").strip().partition(" ")
    key = headers.get(API_KEY_HEADER) or (bearer.strip() if scheme.lower() == "bearer" else "")
    route = f"{event['httpMethod']} {event['resource']}"
    allowed = kind_of(key) == "manage" or route in _ask_routes()
    statement = {
        "Effect": "Allow" if allowed else "Deny",
        "Action": "execute-api:Invoke",
        "Resource": event["methodArn"],
    }
    return {
        "principalId": "caller",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "usageIdentifierKey": key or NO_KEY,
    }


@cache
def _ask_routes() -> tuple[str, ...]:
    return AuthorizeSettings.from_env().ask_routes
