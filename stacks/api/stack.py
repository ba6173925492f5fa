"""The REST API: every route of `contract/routes.py`, who may call it, how often, and what is logged."""

from aws_cdk import Aws, CfnOutput, Duration, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_logs as logs
from constructs import Construct

from contract.idempotency import IDEMPOTENCY_HEADER
from contract.limits import API_TIMEOUT_S, EXPOSED_HEADERS
from contract.routes import API_KEY_HEADER, ROUTES, STAGE_NAME, Route
from stacks.api.functions import annotate_function, classify_function, manage_function
from stacks.api.gateway_responses import add_gateway_responses
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import log_group
from stacks.nag import acknowledge, managed_policy
from stacks.serving.stack import ServingStack
from stacks.training.stack import TrainingStack

BINARY_MEDIA_TYPES = ("image/*", "multipart/form-data", "application/octet-stream")
"""Reach the function as they were sent. Never */*: preflight requests would fail, and JSON would come as base64."""

REQUEST_HEADERS = (
    *("content-type", "if-match", "if-none-match", IDEMPOTENCY_HEADER),
    *("authorization", "x-amz-date", "x-amz-security-token", API_KEY_HEADER),
)
"""What scripts of other origins may send."""


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
        functions = {
            "classify": classify_function(self, config, data, serving),
            "annotate": annotate_function(self, config, data, serving),
            "manage": manage_function(self, config, data, serving, training),
        }
        integrations = {
            module: apigateway.LambdaIntegration(
                function, timeout=Duration.seconds(API_TIMEOUT_S), scope_permission_to_method=False
            )
            for module, function in functions.items()
        }
        api.node.try_remove_child("Endpoint")  # the library's own output of the address, with another spelling
        for route in ROUTES:
            _add_route(api, route, integrations[route.function], config)
        add_gateway_responses(api, config)
        self._keep_execution_logs(api, config)
        if config.auth == "api_key":
            self._hand_out_a_key(api, config)
        url = f"https://{api.rest_api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}/{STAGE_NAME}"
        CfnOutput(self, "ApiUrl", value=url)

    def _rest_api(self, config: StageConfig) -> apigateway.RestApi:
        api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=config.name,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            binary_media_types=list(BINARY_MEDIA_TYPES),
            default_cors_preflight_options=_cors(config),
            # The account's one role for API Gateway's logs: it stays when the stack goes, for other APIs use it too.
            cloud_watch_role=True,
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE_NAME,
                throttling_rate_limit=config.throttling_rate_rps,
                throttling_burst_limit=config.throttling_burst,
                access_log_destination=apigateway.LogGroupLogDestination(log_group(self, "AccessLogs", config)),
                access_log_format=apigateway.AccessLogFormat.custom(_access_log_line()),
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,  # images and annotations do not belong in logs
                metrics_enabled=True,
                tracing_enabled=True,
            ),
        )
        _acknowledge(api)
        return api

    def _keep_execution_logs(self, api: apigateway.RestApi, config: StageConfig) -> None:
        """Make the group that API Gateway would make itself, and would keep for ever."""
        name = f"API-Gateway-Execution-Logs_{api.rest_api_id}/{STAGE_NAME}"
        execution_logs: logs.LogGroup = log_group(self, "ExecutionLogs", config, name=name)
        api.deployment_stage.node.add_dependency(execution_logs)

    def _hand_out_a_key(self, api: apigateway.RestApi, config: StageConfig) -> None:
        """One key, whose value API Gateway makes up, and a plan that lets it in."""
        key = api.add_api_key("Key", description=f"{config.name}: send it as {API_KEY_HEADER}")
        plan = api.add_usage_plan(
            "UsagePlan",
            throttle=apigateway.ThrottleSettings(
                rate_limit=config.throttling_rate_rps, burst_limit=config.throttling_burst
            ),
        )
        plan.add_api_key(key)
        plan.add_api_stage(stage=api.deployment_stage)
        CfnOutput(self, "ApiKeyId", value=key.key_id)


def _add_route(
    api: apigateway.RestApi, route: Route, integration: apigateway.LambdaIntegration, config: StageConfig
) -> None:
    guarded = not route.open
    signed = guarded and config.auth == "iam"
    api.root.resource_for_path(route.path).add_method(
        route.method,
        integration,
        authorization_type=apigateway.AuthorizationType.IAM if signed else apigateway.AuthorizationType.NONE,
        api_key_required=guarded and config.auth == "api_key",
    )


def _acknowledge(api: apigateway.RestApi) -> None:
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
        "The page, /health and /openapi.json are open on purpose, and throttled",
        *("APIG4", "COG4"),
    )
    acknowledge(
        api.node.find_child("CloudWatchRole"),
        "the account's one role for API Gateway's logs, with the policy that AWS made for it",
        managed_policy("AmazonAPIGatewayPushToCloudWatchLogs"),
    )


def _cors(config: StageConfig) -> apigateway.CorsOptions | None:
    if not config.cors_origins:
        return None
    return apigateway.CorsOptions(
        allow_origins=list(config.cors_origins),
        allow_methods=sorted({route.method for route in ROUTES}),
        allow_headers=list(REQUEST_HEADERS),
        expose_headers=list(EXPOSED_HEADERS),
    )


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
