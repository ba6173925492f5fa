"""The REST API: every route of `contract/routes.py`, who may call it, how often, what is logged, and what API Gateway
itself answers when a request never reaches a function.
"""

import json
import re
from http import HTTPStatus

from aws_cdk import Aws, CfnOutput, Duration, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from constructs import Construct

from contract import limits, problems
from contract.forms import FORM, IMAGE_MEDIA_TYPES
from contract.idempotency import IDEMPOTENCY_HEADER
from contract.routes import ASK_ROUTES, OPENAPI, ROUTES, STAGE_NAME, Route
from stacks.api.functions import annotate_function, authorize_function, classify_function, manage_function
from stacks.api.machines import import_machine
from stacks.config import CONFIGURATION_OUTPUT, Auth, StageConfig
from stacks.data import DataStack
from stacks.handler_function import log_group
from stacks.nag import acknowledge, managed_policy, wildcard
from stacks.serving.stack import ServingStack
from stacks.training.stack import TrainingStack

BINARY_MEDIA_TYPES = ("image/*", FORM, *IMAGE_MEDIA_TYPES)
"""Reach the function as they were sent. Never */*: preflight requests would fail, and JSON would come as base64."""

REQUEST_HEADERS = (
    *("content-type", "if-match", "if-none-match", IDEMPOTENCY_HEADER),
    *("authorization", "x-amz-date", "x-amz-security-token", "user-agent", limits.API_KEY_HEADER),
)
"""What scripts of other origins may send."""

RETRY_AFTER_S = 1

IN_ITS_OWN_WORDS = {
    **dict.fromkeys(("BAD_REQUEST_BODY", "BAD_REQUEST_PARAMETERS"), 400),
    "UNAUTHORIZED": 401,
    **dict.fromkeys(("ACCESS_DENIED", "EXPIRED_TOKEN", "INVALID_API_KEY", "INVALID_SIGNATURE", "WAF_FILTERED"), 403),
    "RESOURCE_NOT_FOUND": 404,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "QUOTA_EXCEEDED": 429,
    **dict.fromkeys(("API_CONFIGURATION_ERROR", "AUTHORIZER_CONFIGURATION_ERROR", "AUTHORIZER_FAILURE"), 500),
}
"""What API Gateway can say better than we could, such as which action a caller's policy lacks, with its statuses.

They are listed because a body can only name its status where the status is fixed.
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

_REQUEST_ID = "$context.requestId"
_ITS_OWN_WORDS = "$context.error.messageString"
"""API Gateway's sentence, with its quotation marks."""


class ApiStack(Stack):
    """A regional REST API in front of one function per permission boundary. Its address is the output `ApiUrl`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        config: StageConfig,
        data: DataStack,
        training: TrainingStack,
        serving: ServingStack,
    ) -> None:
        super().__init__(scope, id, description="Wordsight: the REST API")
        self.add_stack_dependency(serving)  # callers find an endpoint as soon as they find the API
        api = self._rest_api(config)
        timeout = Duration.seconds(limits.API_TIMEOUT_S)
        imports = import_machine(self, config, data, training.teacher.function_arn)
        functions = {
            "classify": classify_function(self, config, data),
            "annotate": annotate_function(self, config, data, training, imports),
            "manage": manage_function(self, config, data, training, imports),
        }
        # Nothing is remembered: what is remembered needs all of the headers in which a key may be.
        authorizer = (
            apigateway.RequestAuthorizer(
                self,
                "Authorizer",
                handler=authorize_function(self, config),
                identity_sources=[],
                results_cache_ttl=Duration.seconds(0),
            )
            if config.auth == "api_key"
            else None
        )
        authorization = {
            "api_key": apigateway.AuthorizationType.CUSTOM,
            "iam": apigateway.AuthorizationType.IAM,
            "none": apigateway.AuthorizationType.NONE,
        }
        integrations = {
            module: apigateway.LambdaIntegration(function, timeout=timeout, scope_permission_to_method=False)
            for module, function in functions.items()
        }
        for route in ROUTES:
            shown = guard(route, config.auth)
            api.root.resource_for_path(route.path).add_method(
                route.method,
                integrations[route.function],
                authorization_type=authorization[shown],
                authorizer=authorizer if shown == "api_key" else None,
                api_key_required=shown == "api_key",
            )
        _add_gateway_responses(api, config)
        if config.auth == "api_key":
            # One key, whose value API Gateway makes up, and a plan that lets it in.
            rate_rps, burst = config.throttling_rate_rps, config.throttling_burst
            limited = apigateway.ThrottleSettings(rate_limit=rate_rps, burst_limit=burst)
            key = api.add_api_key("Key", description=f"{config.name}: send it as {limits.API_KEY_HEADER} or Bearer")
            plan = api.add_usage_plan("UsagePlan", throttle=limited)
            plan.add_api_key(key)
            plan.add_api_stage(stage=api.deployment_stage)
            CfnOutput(self, "ApiKeyId", value=key.key_id)
        else:
            self._policies(api, config)
        CfnOutput(self, CONFIGURATION_OUTPUT, value=config.configuration)
        url = f"https://{api.rest_api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}/{STAGE_NAME}"
        CfnOutput(self, "ApiUrl", value=url)

    def _policies(self, api: apigateway.RestApi, config: StageConfig) -> None:
        """Two policies that nobody has: whoever gives callers their rights attaches them to roles, users or groups."""
        paths = [(route.method, re.sub(r"{\w+}", "*", route.path)) for route in ASK_ROUTES]
        asks = [api.arn_for_execute_api(method, path, STAGE_NAME) for method, path in paths]
        policies = {
            "Invoke": (f"Ask {config.name}: {', '.join(route.name for route in ASK_ROUTES)}", asks),
            "Admin": (f"Everything that the API of {config.name} offers", [api.arn_for_execute_api(stage=STAGE_NAME)]),
        }
        if config.auth == "none":  # where whoever reaches the API may ask
            del policies["Invoke"]
        for name, (description, resources) in policies.items():
            statement = iam.PolicyStatement(actions=["execute-api:Invoke"], resources=resources)
            policy = iam.ManagedPolicy(self, f"{name}Policy", description=description, statements=[statement])
            named = "a parameter of a path is anything; the API and its stage are fixed"
            acknowledge(policy, named, *(wildcard(policy, arn) for arn in resources if "*" in arn))
            CfnOutput(self, f"{name}PolicyArn", value=policy.managed_policy_arn)

    def _rest_api(self, config: StageConfig) -> apigateway.RestApi:
        cors = apigateway.CorsOptions(
            allow_origins=list(config.cors_origins),
            allow_methods=sorted({route.method for route in ROUTES}),
            allow_headers=list(REQUEST_HEADERS),
            expose_headers=list(limits.EXPOSED_HEADERS),
        )
        logged = config.api_logging != "off"
        access_log = log_group(self, "AccessLogs", config) if logged else None
        api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=config.name,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            binary_media_types=list(BINARY_MEDIA_TYPES),
            api_key_source_type=apigateway.ApiKeySourceType.AUTHORIZER if config.auth == "api_key" else None,
            default_cors_preflight_options=cors if config.cors_origins else None,
            # The account's one role for API Gateway's logs: it stays when the stack goes, for other APIs use it too.
            cloud_watch_role=config.api_logging == "create",
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE_NAME,
                throttling_rate_limit=config.throttling_rate_rps,
                throttling_burst_limit=config.throttling_burst,
                access_log_destination=apigateway.LogGroupLogDestination(access_log) if access_log else None,
                access_log_format=apigateway.AccessLogFormat.custom(_access_log_line()) if access_log else None,
                logging_level=apigateway.MethodLoggingLevel.ERROR if logged else apigateway.MethodLoggingLevel.OFF,
                data_trace_enabled=False,  # images and annotations do not belong in logs
                metrics_enabled=config.detailed_metrics,
                tracing_enabled=True,
            ),
        )
        api.node.try_remove_child("Endpoint")  # the library's own output of the address, with another spelling
        if logged:
            # Made here, or API Gateway would make it itself and keep it for ever.
            name = f"API-Gateway-Execution-Logs_{api.rest_api_id}/{STAGE_NAME}"
            api.deployment_stage.node.add_dependency(log_group(self, "ExecutionLogs", config, name=name))
        else:
            acknowledge(
                api, "this stage was told to keep no record of requests: `api_logging` is off", "APIG1", "APIG6"
            )
        acknowledge(
            api,
            "the function checks every request against the contract and says in a sentence what to change; "
            "API Gateway's validator would answer first, and could not read images and forms",
            "APIG2",
        )
        acknowledge(api, "no WAF: it costs more than the rest of an idle API, and the stage is throttled", "APIG3")
        acknowledge(
            api,
            "callers are programs: they send an API key or sign with IAM, as the stage's `auth` says. "
            "The page, /health and /openapi.json are open on purpose, and throttled; with `auth` none so is asking",
            *("APIG4", "COG4"),
        )
        if config.api_logging == "create":
            acknowledge(
                api.node.find_child("CloudWatchRole"),
                "the account's one role for API Gateway's logs, with the policy that AWS made for it",
                managed_policy("AmazonAPIGatewayPushToCloudWatchLogs"),
            )
        return api


def guard(route: Route, auth: Auth) -> Auth:
    """What a caller of a route shows on a stage with this `auth`. Where that is "none", still nothing that costs or
    destroys is open to whoever finds the address.
    """
    if route.open or (auth == "none" and route.asks):
        return "none"
    return "iam" if auth == "none" else auth


def _access_log_line() -> str:
    """One JSON object per request, with what an operator asks first."""
    context = apigateway.AccessLogField
    fields = {
        "request_id": context.context_request_id(),
        "time": context.context_request_time_epoch(),
        "ip": context.context_identity_source_ip(),
        "method": context.context_http_method(),
        "path": context.context_resource_path(),
        "status": context.context_status(),
        "response_bytes": context.context_response_length(),
        "latency_ms": context.context_response_latency(),
        "integration_latency_ms": context.context_integration_latency(),
        "integration_status": context.context_integration_status(),
        "error_type": context.context_error_response_type(),
        "trace_id": context.context_xray_trace_id(),
    }
    return "{" + ",".join(f'"{name}":"{variable}"' for name, variable in fields.items()) + "}"


def _add_gateway_responses(api: apigateway.RestApi, config: StageConfig) -> None:
    """Give every answer of API Gateway's own our shape, our request id header and the CORS headers."""
    bodies = {name: problem.body(instance=_REQUEST_ID) for name, problem in _problems(config).items()}
    in_its_own = {name: status for name, status in IN_ITS_OWN_WORDS.items() if name not in bodies}
    for name, status in sorted(in_its_own.items()):  # the id of API Gateway's deployment depends on the order
        known = problems.PROBLEMS.get(status)
        untyped = _untyped(title=HTTPStatus(status).phrase, status=status)
        bodies[name] = known("").body(instance=_REQUEST_ID) if known else untyped
    bodies["DEFAULT_4XX"] = _untyped(title="The request was refused")  # the status of these is not known here
    bodies["DEFAULT_5XX"] = _untyped(title=problems.InternalError.title)
    for name, body in bodies.items():
        headers = {"Content-Type": f"'{limits.PROBLEM_MEDIA_TYPE}'", limits.REQUEST_ID_HEADER: "context.requestId"}
        if retry_after_s := body.get("retry_after_s"):
            headers["Retry-After"] = f"'{retry_after_s}'"
        if config.cors_origins:
            # One fixed value is possible here. Errors are no secrets: with several origins every one may read them.
            origin = config.cors_origins[0] if len(config.cors_origins) == 1 else "*"
            headers["Access-Control-Allow-Origin"] = f"'{origin}'"
            headers["Access-Control-Expose-Headers"] = f"'{','.join(limits.EXPOSED_HEADERS)}'"
        api.add_gateway_response(
            name.title().replace("_", ""),
            type=apigateway.ResponseType.of(name),
            status_code=str(body["status"]) if "status" in body else None,
            response_headers=headers,
            # A problem's empty members are filled with API Gateway's own sentence.
            templates={"application/json": json.dumps(body).replace('""', _ITS_OWN_WORDS)},
        )


def _problems(config: StageConfig) -> dict[str, problems.ProblemError]:
    megabytes = limits.MAX_INLINE_IMAGE_BYTES // 1024**2
    routes = f"{OPENAPI.method} {OPENAPI.path} lists the routes"
    # API Gateway calls an unknown route a missing token, as IAM calls a request without a signature.
    unknown: problems.ProblemError = problems.NotFound(f"there is no such route, or not with this method: {routes}")
    ask_routes = ", ".join(route.name for route in ASK_ROUTES)
    if config.auth != "api_key":
        takes = f"; without a signature this stage (auth=none) takes {ask_routes}" if config.auth == "none" else ""
        unknown = problems.Forbidden(
            f"the request is not signed with AWS credentials (SigV4), or there is no such route: {routes}{takes}"
        )
    of_keys: dict[str, problems.ProblemError] = {
        "ACCESS_DENIED": problems.Forbidden(
            f"this API key may ask only, which is {ask_routes}, beside what is open to all. Everything else takes a "
            f"key that may manage, which whoever operates {config.name} makes: make key DO=create NAME=… KIND=manage"
        ),
        "INVALID_API_KEY": problems.Forbidden(
            f"the API key is missing or wrong: send it as {limits.API_KEY_HEADER}, or as authorization: Bearer …"
        ),
        "QUOTA_EXCEEDED": problems.TooManyRequests(
            "this API key has asked as often as its quota allows in one day: go on tomorrow, or ask whoever operates "
            f"{config.name} for a key with a larger one"
        ),
    }
    return {
        **(of_keys if config.auth == "api_key" else {}),
        "REQUEST_TOO_LARGE": problems.PayloadTooLarge(
            f"the request is too large: the images of one request may have {megabytes} MB together. "
            f"Send smaller or fewer ones, or an s3_key under {limits.UPLOADS_PREFIX}"
        ),
        "THROTTLED": problems.TooManyRequests(
            f"more than {config.throttling_rate_rps:g} requests per second to one route"
            f"{' or with one API key' if config.auth == 'api_key' else ''}: slow down and try again",
            retry_after_s=RETRY_AFTER_S,
        ),
        "INTEGRATION_TIMEOUT": problems.GatewayTimeout(
            "the answer took too long: try again, or send fewer images or labels"
        ),
        # API Gateway says 504 to this too, but nothing was late, and a caller who waits for longer gains nothing.
        "INTEGRATION_FAILURE": problems.BadGateway(
            "the API's function could not take the request or hand its answer back: a large request is better sent in "
            "parts. If one more try fails too, quote the request id when asking for help"
        ),
        "MISSING_AUTHENTICATION_TOKEN": unknown,
    }


def _untyped(**members: object) -> dict[str, object]:
    """A problem of which no more is known than its status, in API Gateway's words."""
    return {"type": "about:blank", **members, "detail": "", "error": "", "instance": _REQUEST_ID}
