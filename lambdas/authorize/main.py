"""The API's authorizer: tells API Gateway where a request carries its API key.

API Gateway itself finds a key in `x-api-key` only, and Hugging Face's JavaScript client, as many others, sends it as
`authorization: Bearer`. Whether the key is one of the usage plan's, and how much it may ask, API Gateway finds out
after this: no key is known here, nothing is decided, and nothing may be done.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
"""

from typing import Any

from contract.limits import API_KEY_HEADER

NO_KEY = "none"
"""Stands for a key that was not sent: a key of API Gateway has at least 20 characters."""


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """The answer to an authorizer's event of type REQUEST."""
    headers = {name.lower(): value for name, value in (event["headers"] or {}).items()}
    scheme, _, bearer = headers.get("authorization", "").strip().partition(" ")
    key = headers.get(API_KEY_HEADER) or (bearer.strip() if scheme.lower() == "bearer" else "")
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": event["methodArn"]}
    return {
        "principalId": "caller",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "usageIdentifierKey": key or NO_KEY,
    }
