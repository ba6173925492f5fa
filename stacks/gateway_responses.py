"""What API Gateway itself answers when a request never reaches the function: problem details too (RFC 9457).

https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

import json
from typing import Any

from aws_cdk import aws_apigateway as apigateway

from lambdas.routes import API_KEY_HEADER, OPENAPI
from model.contract import (
    MAX_INLINE_IMAGE_BYTES,
    PROBLEM_MEDIA_TYPE,
    REQUEST_ID_HEADER,
    UPLOADS_PREFIX,
    Forbidden,
    GatewayTimeout,
    InternalError,
    NotFound,
    PayloadTooLarge,
    ProblemError,
    TooManyRequests,
)
from stacks.config import StageConfig

RETRY_AFTER_S = 1

_REQUEST_ID = "$context.requestId"
_ITS_OWN_WORDS = "$context.error.messageString"
"""API Gateway's sentence, with its quotation marks."""


def add_gateway_responses(api: apigateway.RestApi, config: StageConfig) -> None:
    """Give every answer of API Gateway's own our shape, our request id header and the CORS header."""
    for response_type, problem in _problems(config).items():
        body = problem.body(instance=_REQUEST_ID)
        _add(api, config, response_type, json.dumps(body), problem.status, problem.retry_after_s)
    for response_type, title in (("DEFAULT_4XX", "The request was refused"), ("DEFAULT_5XX", InternalError.title)):
        _add(api, config, response_type, _any_other(title))


def _problems(config: StageConfig) -> dict[str, ProblemError]:
    megabytes = MAX_INLINE_IMAGE_BYTES // 1024**2
    problems: dict[str, ProblemError] = {
        "INVALID_API_KEY": Forbidden(f"the API key is missing or wrong: send it in the header {API_KEY_HEADER}"),
        "REQUEST_TOO_LARGE": PayloadTooLarge(
            f"the request is larger than 10 MB, and the images of one request may have {megabytes} MB together: "
            f"send smaller ones, or an s3_key under {UPLOADS_PREFIX}"
        ),
        "THROTTLED": TooManyRequests(
            f"more than {config.throttling_rate_rps:g} requests per second: slow down and try again",
            retry_after_s=RETRY_AFTER_S,
        ),
        "INTEGRATION_TIMEOUT": GatewayTimeout("the answer took too long: try again, or send fewer images or labels"),
        "INTEGRATION_FAILURE": GatewayTimeout(
            "the API's function could not be reached: try again", retry_after_s=RETRY_AFTER_S
        ),
    }
    problems["MISSING_AUTHENTICATION_TOKEN"] = _no_route_or_no_token(config)
    return problems


def _no_route_or_no_token(config: StageConfig) -> ProblemError:
    """API Gateway calls an unknown route a missing token, as IAM calls a request without a signature."""
    routes = f"{OPENAPI.method} {OPENAPI.path} lists the routes"
    if config.auth == "iam":
        return Forbidden(f"the request is not signed with AWS credentials (SigV4), or there is no such route: {routes}")
    return NotFound(f"there is no such route, or not with this method: {routes}")


def _any_other(title: str) -> str:
    """The body of every other answer. It can't say its status: these templates do not know it."""
    body = {"type": "about:blank", "title": title, "detail": "", "error": "", "instance": _REQUEST_ID}
    return json.dumps(body).replace('""', _ITS_OWN_WORDS)


def _add(
    api: apigateway.RestApi,
    config: StageConfig,
    response_type: str,
    template: str,
    status: int | None = None,
    retry_after_s: int | None = None,
) -> None:
    headers: dict[str, Any] = {
        "Content-Type": f"'{PROBLEM_MEDIA_TYPE}'",
        REQUEST_ID_HEADER: "context.requestId",
    }
    if retry_after_s is not None:
        headers["Retry-After"] = f"'{retry_after_s}'"
    if config.cors_origins:
        # One fixed value is possible here. An error's text is no secret, so with several origins every one may read it.
        origin = config.cors_origins[0] if len(config.cors_origins) == 1 else "*"
        headers["Access-Control-Allow-Origin"] = f"'{origin}'"
    api.add_gateway_response(
        response_type.title().replace("_", ""),
        type=apigateway.ResponseType.of(response_type),
        status_code=str(status) if status else None,
        response_headers=headers,
        templates={"application/json": template},
    )
