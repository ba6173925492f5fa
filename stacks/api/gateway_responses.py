"""What API Gateway itself answers when a request never reaches the function: problem details too (RFC 9457).

https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

import json
from http import HTTPStatus
from typing import Any

from aws_cdk import aws_apigateway as apigateway

from contract.limits import (
    EXPOSED_HEADERS,
    MAX_INLINE_IMAGE_BYTES,
    PROBLEM_MEDIA_TYPE,
    REQUEST_ID_HEADER,
    UPLOADS_PREFIX,
)
from contract.problems import (
    PROBLEMS,
    BadGateway,
    Forbidden,
    GatewayTimeout,
    InternalError,
    NotFound,
    PayloadTooLarge,
    ProblemError,
    TooManyRequests,
)
from contract.routes import API_KEY_HEADER, OPENAPI
from stacks.config import StageConfig

RETRY_AFTER_S = 1

IN_ITS_OWN_WORDS = {
    "ACCESS_DENIED": 403,
    "API_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_FAILURE": 500,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "EXPIRED_TOKEN": 403,
    "INVALID_SIGNATURE": 403,
    "QUOTA_EXCEEDED": 429,
    "RESOURCE_NOT_FOUND": 404,
    "UNAUTHORIZED": 401,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "WAF_FILTERED": 403,
}
"""What API Gateway can say better than we could, such as which action a caller's policy lacks, with its statuses.

They are listed because a body can only name its status where the status is fixed.
"""

_REQUEST_ID = "$context.requestId"
_ITS_OWN_WORDS = "$context.error.messageString"
"""API Gateway's sentence, with its quotation marks."""


def add_gateway_responses(api: apigateway.RestApi, config: StageConfig) -> None:
    """Give every answer of API Gateway's own our shape, our request id header and the CORS headers."""
    for response_type, problem in _problems(config).items():
        _add(api, config, response_type, problem.body(instance=_REQUEST_ID), problem.status)
    for response_type, status in IN_ITS_OWN_WORDS.items():
        known = PROBLEMS.get(status)
        phrase = HTTPStatus(status).phrase
        body = known("").body(instance=_REQUEST_ID) if known else _untyped(title=phrase, status=status)
        _add(api, config, response_type, body, status)
    for response_type, title in (("DEFAULT_4XX", "The request was refused"), ("DEFAULT_5XX", InternalError.title)):
        _add(api, config, response_type, _untyped(title=title), None)  # its status is not known here


def _problems(config: StageConfig) -> dict[str, ProblemError]:
    megabytes = MAX_INLINE_IMAGE_BYTES // 1024**2
    routes = f"{OPENAPI.method} {OPENAPI.path} lists the routes"
    # API Gateway calls an unknown route a missing token, as IAM calls a request without a signature.
    unknown: ProblemError = NotFound(f"there is no such route, or not with this method: {routes}")
    if config.auth == "iam":
        unknown = Forbidden(
            f"the request is not signed with AWS credentials (SigV4), or there is no such route: {routes}"
        )
    return {
        "INVALID_API_KEY": Forbidden(f"the API key is missing or wrong: send it in the header {API_KEY_HEADER}"),
        "REQUEST_TOO_LARGE": PayloadTooLarge(
            f"the request is too large: the images of one request may have {megabytes} MB together. "
            f"Send smaller or fewer ones, or an s3_key under {UPLOADS_PREFIX}"
        ),
        "THROTTLED": TooManyRequests(
            f"more than {config.throttling_rate_rps:g} requests per second: slow down and try again",
            retry_after_s=RETRY_AFTER_S,
        ),
        "INTEGRATION_TIMEOUT": GatewayTimeout("the answer took too long: try again, or send fewer images or labels"),
        # API Gateway says 504 to this too, but nothing was late, and a caller who waits for longer gains nothing.
        "INTEGRATION_FAILURE": BadGateway(
            "the API's function could not take the request or hand its answer back: a large request is better sent in "
            "parts. If one more try fails too, quote the request id when asking for help"
        ),
        "MISSING_AUTHENTICATION_TOKEN": unknown,
    }


def _untyped(**members: object) -> dict[str, object]:
    """A problem of which no more is known than its status, in API Gateway's words."""
    return {"type": "about:blank", **members, "detail": "", "error": "", "instance": _REQUEST_ID}


def _add(
    api: apigateway.RestApi, config: StageConfig, response_type: str, body: dict[str, Any], status: int | None
) -> None:
    """`body`: a problem's members, whose empty ones are filled with API Gateway's own sentence."""
    headers = {"Content-Type": f"'{PROBLEM_MEDIA_TYPE}'", REQUEST_ID_HEADER: "context.requestId"}
    if retry_after_s := body.get("retry_after_s"):
        headers["Retry-After"] = f"'{retry_after_s}'"
    if config.cors_origins:
        # One fixed value is possible here. An error's text is no secret, so with several origins every one may read it.
        origin = config.cors_origins[0] if len(config.cors_origins) == 1 else "*"
        headers["Access-Control-Allow-Origin"] = f"'{origin}'"
        headers["Access-Control-Expose-Headers"] = f"'{','.join(EXPOSED_HEADERS)}'"
    api.add_gateway_response(
        response_type.title().replace("_", ""),
        type=apigateway.ResponseType.of(response_type),
        status_code=str(status) if status else None,
        response_headers=headers,
        templates={"application/json": json.dumps(body).replace('""', _ITS_OWN_WORDS)},
    )
