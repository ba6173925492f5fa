"""API Gateway in the emulator: a REST API's limits, and what a caller sees when the function behind it fails.

Every answer here goes through the API's own gateway responses, as on AWS. The functions that wrap ministack's have the
wrapped one as their `inner`.
"""

import asyncio
import json
import logging
from contextvars import ContextVar
from functools import partial
from typing import Any

from ministack.services import apigateway_v1
from ministack.services.cloudformation import provisioners

MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_EVENT_BODY_CHARACTERS = 6 * 1024 * 1024
"""Lambda's limit for a synchronous event; a binary body counts with its base64."""

INTEGRATION_TIMEOUT_S = 29

_KEY: ContextVar[str | None] = ContextVar("_KEY", default=None)
"""What the authorizer says is the request's API key, where the API asks it and not a header; None elsewhere."""

log = logging.getLogger("wordsight.local")


class _Refused(Exception):
    """Ends the handling of a request with a gateway response, whose type and message are its arguments."""


def extend() -> None:
    """Wrap ministack's functions."""
    apigateway_v1._execute_in_scope = partial(_execute, apigateway_v1._execute_in_scope)
    apigateway_v1._build_lambda_event_v1 = partial(_build_event, apigateway_v1._build_lambda_event_v1)
    apigateway_v1._lambda_proxy_response = partial(_proxy_response, apigateway_v1._lambda_proxy_response)
    apigateway_v1._invoke_authorizer_lambda = partial(_authorize, apigateway_v1._invoke_authorizer_lambda)
    apigateway_v1._api_key_from_request = partial(_api_key, apigateway_v1._api_key_from_request)
    of_rest_apis = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::RestApi"]
    of_rest_apis["create"] = partial(_create, of_rest_apis["create"])
    apigateway_v1._gateway_error_response = partial(_error_response, apigateway_v1._gateway_error_response)


def _create(inner: Any, logical_id: Any, properties: Any, stack: Any) -> Any:
    """ministack's CloudFormation makes an API without this one property, and knows it when it updates one."""
    api_id, attributes = inner(logical_id, properties, stack)
    apigateway_v1._rest_apis[api_id]["apiKeySource"] = properties.get("ApiKeySourceType", "HEADER")
    return api_id, attributes


async def _execute(
    inner: Any, request: Any, api_id: Any, stage: Any, method: Any, path: Any, headers: Any, body: Any, *others: Any
) -> Any:
    if len(body or b"") > MAX_BODY_BYTES:
        request["stage"] = apigateway_v1.stages_for_api(api_id)[stage]
        return apigateway_v1._GatewayError("REQUEST_TOO_LARGE", "Request Too Long")
    if (apigateway_v1._rest_apis.get(api_id) or {}).get("apiKeySource") == "AUTHORIZER":
        _KEY.set("")
    # Cancelling would wait for the function after all, so a late one is left to end by itself.
    handling = asyncio.ensure_future(inner(request, api_id, stage, method, path, headers, body, *others))
    done, _ = await asyncio.wait({handling}, timeout=INTEGRATION_TIMEOUT_S)
    if not done:
        return apigateway_v1._GatewayError("INTEGRATION_TIMEOUT", "Endpoint request timed out")
    try:
        return handling.result()
    except _Refused as refusal:
        return apigateway_v1._GatewayError(*refusal.args)


async def _authorize(inner: Any, *arguments: Any) -> Any:
    """ministack's answer of an authorizer's function, whose `usageIdentifierKey` is kept for the request."""
    result = await inner(*arguments)
    answer = (result or {}).get("body")
    answer = json.loads(answer) if isinstance(answer, str | bytes) else answer
    if _KEY.get() is not None and isinstance(answer, dict):
        _KEY.set(answer.get("usageIdentifierKey") or "")
    return result


def _api_key(inner: Any, headers: Any) -> str:
    key = _KEY.get()
    return str(inner(headers)) if key is None else key


def _build_event(inner: Any, *arguments: Any, **options: Any) -> Any:
    event = inner(*arguments, **options)
    if _KEY.get() and (key := apigateway_v1._resolve_api_key(_KEY.get())):
        event["requestContext"]["identity"] |= {"apiKey": key["value"], "apiKeyId": key["id"]}
    if len(event["body"] or "") > MAX_EVENT_BODY_CHARACTERS:
        raise _Refused("REQUEST_TOO_LARGE", "Request Too Long")
    return event


def _proxy_response(inner: Any, result: Any) -> Any:
    """A function that raises, or answers in another shape than a proxy response, is a 502 without its error text.

    An answer without a body, such as a 204, is one with an empty body, over which ministack would stumble.
    """
    response, error = inner(result)
    body = result.get("body")
    if error or result.get("error") or not (isinstance(body, dict) and "statusCode" in body):
        log.error("The function behind the API failed: %s", error or repr(body)[:500])
        raise _Refused("DEFAULT_5XX", "Internal server error")
    return {**response, "body": response.get("body") or ""}, None


def _error_response(inner: Any, error: Any, request: Any) -> Any:
    status, headers, body = inner(error, request)
    return 502 if error.response_type == "DEFAULT_5XX" else status, headers, body
