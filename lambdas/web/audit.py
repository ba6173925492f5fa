"""Who changed what: one log line for each request that a key must manage for, and that changed something."""

import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from contract.routes import OPERATIONS, Route

NAMING = ("id", "version", "name")
"""Members of an answer that name what was created. No other is told: a line holds names and ids, never an image, a
sentence or a key."""

_OPERATIONS = {route: name for name, route in OPERATIONS.items()}


def audit_line(
    route: Route, parameters: Mapping[str, str], event: APIGatewayProxyEvent, response: Response[str]
) -> dict[str, Any] | None:
    """What is logged of an answered request; None where nothing was changed.

    `who`: the id of an API key, or the ARN of an IAM principal, as API Gateway says it.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
    """
    if route.needs != "manage" or route.method == "GET" or response.status_code >= 400:
        return None
    identity = event.raw_event["requestContext"]["identity"]
    query = event.raw_event.get("queryStringParameters") or {}
    return {
        "action": _OPERATIONS[route],
        "who": identity.get("userArn") or identity.get("apiKeyId") or "unknown",
        "object": {**parameters, **{name: query[name] for name in route.query if name in query}, **_named(response)},
        "status": response.status_code,
    }


def _named(response: Response[str]) -> dict[str, str]:
    answer = json.loads(response.body) if response.body else None
    return {name: answer[name] for name in NAMING if answer.get(name)} if isinstance(answer, dict) else {}
