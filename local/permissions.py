"""What AWS's services do with a role: the calls that no request shows the emulator, and how local mode asks for them.

Each row of `MOMENTS` is a set of actions on one resource, with the page that says so, by what happens and by the
service that takes the role then. `iam.py` answers.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from local.s3 import S3Client
from local.settings import ACCOUNT

_DOCS = "https://docs.aws.amazon.com"


@dataclass(frozen=True)
class ImpliedCalls:
    """`resource` and the values of `context` (condition keys) are formats over what is known at that moment."""

    actions: tuple[str, ...]
    resource: str
    source: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Moment:
    """What `service` (as in `lambda.amazonaws.com`) calls with a role when something happens."""

    service: str
    calls: tuple[ImpliedCalls, ...]


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{{region}}:{{account}}:{resource}"


_TRACES = ImpliedCalls(
    ("xray:PutTraceSegments", "xray:PutTelemetryRecords"), "*", f"{_DOCS}/lambda/latest/dg/services-xray.html"
)
_WRITE = ("logs:CreateLogStream", "logs:PutLogEvents")
_STREAM = _arn("logs", "log-group:{log_group}:log-stream:stream")
_DELIVERY = (
    *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery"),
    *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups"),
)
_JOB_CALLS = f"{_DOCS}/step-functions/latest/dg/connect-sagemaker.html"
_MAP_CALLS = f"{_DOCS}/step-functions/latest/dg/iam-policies-eg-dist-map.html"
_EXECUTION_ROLES = f"{_DOCS}/sagemaker/latest/dg/sagemaker-roles.html"
_GUARDRAILS = f"{_DOCS}/sagemaker/latest/dg/deployment-guardrails-configuration.html"

_HANDLERS = f"{_DOCS}/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-{{}}.html"
"""And the permissions of the handlers in the type's schema: aws cloudformation describe-type --type RESOURCE."""

_SCALING = f"{_DOCS}/AWSCloudFormation/latest/TemplateReference/aws-resource-applicationautoscaling-{{}}.html"
_SCALABLE_TARGETS = _arn("application-autoscaling", "scalable-target/*")
_OF_SAGEMAKER = {"application-autoscaling:service-namespace": "sagemaker"}

_FUNCTION = _arn("lambda", "function:{name}")
_FUNCTION_HANDLERS = f"{_DOCS}/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html"
_FUNCTION_READ = (
    "lambda:GetFunction",
    *(f"lambda:GetFunction{what}Config" for what in ("CodeSigning", "Recursion", "Scaling")),
    "lambda:GetRuntimeManagementConfig",
)


def _made(kind: str) -> tuple[str, ...]:
    """What a handler calls to make a resource and to see that it is there."""
    return (f"sagemaker:Create{kind}", f"sagemaker:Describe{kind}", "sagemaker:AddTags", "sagemaker:ListTags")


_CONTAINER = (
    ImpliedCalls(("ecr:GetAuthorizationToken",), "*", _EXECUTION_ROLES),
    ImpliedCalls(
        ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"),
        "{repository_arn}",
        _EXECUTION_ROLES,
    ),
    ImpliedCalls(("logs:CreateLogGroup",), _arn("logs", "log-group:{log_group}"), _EXECUTION_ROLES),
    ImpliedCalls(("logs:DescribeLogStreams",), _arn("logs", "log-group:{log_group}:log-stream:"), _EXECUTION_ROLES),
    ImpliedCalls(_WRITE, _arn("logs", "log-group:{log_group}:log-stream:{log_stream}"), _EXECUTION_ROLES),
    ImpliedCalls(("cloudwatch:PutMetricData",), "*", _EXECUTION_ROLES, {"cloudwatch:namespace": "{metric_namespace}"}),
)

MOMENTS: Mapping[str, Moment] = {
    "a function runs": Moment(
        "lambda", (ImpliedCalls(_WRITE, _STREAM, f"{_DOCS}/lambda/latest/dg/monitoring-cloudwatchlogs.html"),)
    ),
    "a function is traced": Moment("lambda", (_TRACES,)),
    "a state machine is made": Moment(
        "states",
        (
            ImpliedCalls(_DELIVERY, "*", f"{_DOCS}/step-functions/latest/dg/cw-logs.html"),
            ImpliedCalls(
                (*_TRACES.actions, "xray:GetSamplingRules", "xray:GetSamplingTargets"),
                "*",
                f"{_DOCS}/step-functions/latest/dg/concepts-xray-tracing.html",
            ),
        ),
    ),
    "a state invokes a function": Moment(
        "states",
        (
            ImpliedCalls(
                ("lambda:InvokeFunction",), "{function_arn}", f"{_DOCS}/step-functions/latest/dg/connect-lambda.html"
            ),
        ),
    ),
    "a state starts an execution": Moment(
        "states",
        (
            ImpliedCalls(
                ("states:StartExecution",),
                "{machine_arn}",
                f"{_DOCS}/step-functions/latest/dg/connect-stepfunctions.html",
            ),
        ),
    ),
    "a schedule starts an execution": Moment(
        "scheduler",
        (
            ImpliedCalls(
                ("states:StartExecution",), "{machine_arn}", f"{_DOCS}/scheduler/latest/UserGuide/setting-up.html"
            ),
        ),
    ),
    "a state lists executions": Moment(
        "states",
        (
            ImpliedCalls(
                ("states:ListExecutions",),
                "{machine_arn}",
                f"{_DOCS}/service-authorization/latest/reference/list_awsstepfunctions.html",
            ),
        ),
    ),
    "a state runs a training job": Moment(
        "states",
        (
            ImpliedCalls(
                tuple(f"sagemaker:{verb}TrainingJob" for verb in ("Create", "Describe", "Stop")),
                _arn("sagemaker", "training-job/{job}"),
                _JOB_CALLS,
            ),
            ImpliedCalls(("sagemaker:AddTags",), _arn("sagemaker", "training-job/{job}"), _JOB_CALLS),
            ImpliedCalls(("sagemaker:ListTags",), "*", _JOB_CALLS),
            ImpliedCalls(
                ("iam:PassRole",), "{job_role_arn}", _JOB_CALLS, {"iam:PassedToService": "sagemaker.amazonaws.com"}
            ),
            ImpliedCalls(
                ("events:PutTargets", "events:PutRule", "events:DescribeRule"),
                _arn("events", "rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule"),
                _JOB_CALLS,
            ),
        ),
    ),
    "a distributed map runs": Moment(
        "states",
        (
            ImpliedCalls(("states:StartExecution",), "{machine_arn}", _MAP_CALLS),
            ImpliedCalls(("states:DescribeExecution", "states:StopExecution"), "{executions_arn}:child", _MAP_CALLS),
            ImpliedCalls(("states:RedriveExecution",), "{executions_arn}/{label}:child", _MAP_CALLS),
        ),
    ),
    "a stack makes a model": Moment(
        "cloudformation",
        (
            ImpliedCalls(_made("Model"), _arn("sagemaker", "model/{name}"), _HANDLERS.format("model")),
            ImpliedCalls(
                ("iam:PassRole",),
                "{execution_role_arn}",
                _HANDLERS.format("model"),
                {"iam:PassedToService": "sagemaker.amazonaws.com"},
            ),
        ),
    ),
    "a stack removes a model": Moment(
        "cloudformation",
        (ImpliedCalls(("sagemaker:DeleteModel",), _arn("sagemaker", "model/{name}"), _HANDLERS.format("model")),),
    ),
    "a stack makes an endpoint configuration": Moment(
        "cloudformation",
        (
            ImpliedCalls(
                _made("EndpointConfig"),
                _arn("sagemaker", "endpoint-config/{name}"),
                _HANDLERS.format("endpointconfig"),
            ),
        ),
    ),
    "a stack removes an endpoint configuration": Moment(
        "cloudformation",
        (
            ImpliedCalls(
                ("sagemaker:DeleteEndpointConfig",),
                _arn("sagemaker", "endpoint-config/{name}"),
                _HANDLERS.format("endpointconfig"),
            ),
        ),
    ),
    "a stack makes an endpoint": Moment(
        "cloudformation",
        (
            ImpliedCalls(_made("Endpoint"), _arn("sagemaker", "endpoint/{name}"), _HANDLERS.format("endpoint")),
            ImpliedCalls(
                ("sagemaker:CreateEndpoint",),
                _arn("sagemaker", "endpoint-config/{config}"),
                f"{_DOCS}/service-authorization/latest/reference/list_sagemaker.html",
            ),
        ),
    ),
    "a stack removes an endpoint": Moment(
        "cloudformation",
        (
            ImpliedCalls(
                ("sagemaker:DeleteEndpoint", "sagemaker:DescribeEndpoint"),
                _arn("sagemaker", "endpoint/{name}"),
                _HANDLERS.format("endpoint"),
            ),
        ),
    ),
    "a stack updates an endpoint": Moment(
        "cloudformation",
        (
            ImpliedCalls(
                ("sagemaker:UpdateEndpoint", "sagemaker:DescribeEndpoint", "sagemaker:ListTags", "sagemaker:AddTags"),
                _arn("sagemaker", "endpoint/{name}"),
                _HANDLERS.format("endpoint"),
            ),
            ImpliedCalls(
                ("sagemaker:UpdateEndpoint",),
                _arn("sagemaker", "endpoint-config/{config}"),
                f"{_DOCS}/service-authorization/latest/reference/list_sagemaker.html",
            ),
        ),
    ),
    "a stack changes a scalable target": Moment(
        "cloudformation",
        (
            ImpliedCalls(
                tuple(f"application-autoscaling:{verb}ScalableTarget" for verb in ("Register", "Deregister")),
                _SCALABLE_TARGETS,
                _SCALING.format("scalabletarget"),
                _OF_SAGEMAKER,
            ),
            ImpliedCalls(
                ("application-autoscaling:TagResource", "application-autoscaling:ListTagsForResource"),
                _SCALABLE_TARGETS,
                _SCALING.format("scalabletarget"),
            ),
            ImpliedCalls(
                ("application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScheduledActions"),
                "*",
                _SCALING.format("scalabletarget"),
            ),
            ImpliedCalls(
                ("sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"),
                _arn("sagemaker", "endpoint/{endpoint}"),
                f"{_DOCS}/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html",
            ),
        ),
    ),
    "a stack changes a scaling policy": Moment(
        "cloudformation",
        (
            ImpliedCalls(
                ("application-autoscaling:PutScalingPolicy", "application-autoscaling:DeleteScalingPolicy"),
                _SCALABLE_TARGETS,
                _SCALING.format("scalingpolicy"),
                _OF_SAGEMAKER,
            ),
            ImpliedCalls(
                ("application-autoscaling:DescribeScalingPolicies", "cloudwatch:GetMetricData"),
                "*",
                _SCALING.format("scalingpolicy"),
            ),
            ImpliedCalls(
                tuple(f"cloudwatch:{verb}" for verb in ("PutMetricAlarm", "DeleteAlarms", "DescribeAlarms")),
                _arn("cloudwatch", "alarm:TargetTracking-endpoint/{endpoint}/variant/alarm"),
                f"{_DOCS}/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html",
            ),
        ),
    ),
    "a stack makes a function": Moment(
        "cloudformation",
        (
            ImpliedCalls(
                ("lambda:CreateFunction", "lambda:TagResource", *_FUNCTION_READ), _FUNCTION, _FUNCTION_HANDLERS
            ),
            ImpliedCalls(
                ("iam:PassRole",),
                "{function_role_arn}",
                _FUNCTION_HANDLERS,
                {"iam:PassedToService": "lambda.amazonaws.com"},
            ),
        ),
    ),
    "a stack changes a function": Moment(
        "cloudformation",
        (
            ImpliedCalls(("lambda:UpdateFunctionConfiguration", *_FUNCTION_READ), _FUNCTION, _FUNCTION_HANDLERS),
            ImpliedCalls(
                ("iam:PassRole",),
                "{function_role_arn}",
                _FUNCTION_HANDLERS,
                {"iam:PassedToService": "lambda.amazonaws.com"},
            ),
        ),
    ),
    "a stack removes a function": Moment(
        "cloudformation",
        (ImpliedCalls(("lambda:DeleteFunction", "lambda:GetFunction"), _FUNCTION, _FUNCTION_HANDLERS),),
    ),
    "a stack reads another one's outputs": Moment(
        "cloudformation",
        (
            ImpliedCalls(
                ("cloudformation:DescribeStacks",),
                _arn("cloudformation", "stack/{stack}/id"),
                f"{_DOCS}/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getstackoutput.html",
            ),
        ),
    ),
    "a container starts": Moment("sagemaker", _CONTAINER),
    "alarms guard an update": Moment(
        "sagemaker",
        (ImpliedCalls(("cloudwatch:DescribeAlarms",), _arn("cloudwatch", "alarm:{alarm}"), _GUARDRAILS),),
    ),
    "an update names alarms": Moment(
        "cloudformation",
        (ImpliedCalls(("cloudwatch:DescribeAlarms",), _arn("cloudwatch", "alarm:{alarm}"), _GUARDRAILS),),
    ),
}
"""By what happens."""


class Denied(Exception):
    """A role may not do what AWS would do with it at this moment. The text is AWS's sentence."""


class Permissions(Protocol):
    """What the services of local mode ask for when they act with a role."""

    def imply(self, moment: str, role_arn: str, **known: str) -> None:
        """Hold the calls of `moment` (a key of MOMENTS) against the role. Raises Denied."""

    def credentials(self, role_arn: str) -> dict[str, str]:
        """Those of the role, as AWS clients read them from their environment."""

    def s3(self, role_arn: str) -> S3Client:
        """A client of S3 with the credentials of the role."""

    def role_of_change(self, stack: str) -> str:
        """The ARN of the role that CloudFormation acts with in a stack."""


def container_facts(image: str, log_group: str, log_stream: str, metric_namespace: str) -> dict[str, str]:
    """What is known when SageMaker starts a container of an image in ECR."""
    registry, _, rest = image.partition("/")
    account, _, _, region, *_ = registry.split(".")
    repository = rest.partition("@")[0].partition(":")[0]
    return {
        "repository_arn": f"arn:aws:ecr:{region}:{account}:repository/{repository}",
        "log_group": log_group,
        "log_stream": log_stream,
        "metric_namespace": metric_namespace,
    }


@dataclass(frozen=True)
class Decision:
    """Whether a role may do something. `context` has the condition keys that its policies name."""

    role: str
    action: str
    resource: str
    allowed: bool
    because: str
    """The request's service, or the moment at which a service acts by itself."""
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """As AWS says it."""
        session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{self.role}"
        return f"{session} is not authorized to perform: {self.action} on resource: {self.resource} ({self.because})"


def read_decisions(log: Path) -> Iterator[Decision]:
    """What has been decided by the system whose log it is."""
    if log.exists():
        yield from (Decision(**json.loads(line)) for line in log.read_text().splitlines())
