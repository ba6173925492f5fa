"""What CloudFormation may do while a promotion or a pause updates the serving stack: replace the model, delete the
endpoint or the function and make it again, and nothing else.

Without a role of its own the update would act with the one that `cdk deploy` left with the stack, an administrator, and
whoever may update the stack could hand it any template. With this role a foreign template comes no further either: it
can put another container behind this stage's endpoint, with the endpoint's own role, or take the endpoint away. It
can't touch roles, other functions, alarms or buckets.

The stack is named, not referred to: it is deployed after the role. CloudFormation keeps a stack's last role for calls
that name none. `cdk deploy`, `cdk rollback` and `cdk destroy` name the bootstrap's with every call; whoever deletes the
stack in the console has to choose that one.
"""

from aws_cdk import ArnFormat, Stack
from constructs import Construct

from stacks.config import StageConfig
from stacks.permissions import Role
from stacks.serving.function import FUNCTION_ROLE_ID
from stacks.serving.model import model_arn

EXECUTION_ROLE_ID = "ExecutionRole"
"""Without the library's digest: IAM's names have 64 characters, and CloudFormation would cut what it puts together."""


def model_id(config: StageConfig) -> str:
    """The model's logical id.

    CloudFormation calls a model `<logical id>-<12 characters>`, without the stack, so only the id can tell one stage's
    from another's. Lower case, since SageMaker writes some ARNs so: https://github.com/aws/aws-cli/issues/4021 and
    https://github.com/aws-solutions/research-service-workbench-on-aws/pull/1048
    """
    return f"wordsight{config.stage}model"


def endpoint_config_id(config: StageConfig) -> str:
    """The endpoint configuration's logical id, for the same reason."""
    return f"wordsight{config.stage}config"


class UpdateRole(Role):
    """The calls of CloudFormation's handlers of models, endpoint configurations and endpoints that a new model needs.

    They are listed in the registry's schemas (`handlers.*.permissions`), such as `aws cloudformation describe-type
    --type RESOURCE --type-name AWS::SageMaker::Model` shows; cfn-lint has copies, with which the test compares. Which
    ARNs a call is held against: https://docs.aws.amazon.com/service-authorization/latest/reference/list_sagemaker.html
    """

    def __init__(self, scope: Construct, id: str, *, config: StageConfig) -> None:
        super().__init__(scope, id, service="cloudformation")
        if config.serving == "lambda":
            self._allow_function(config)
        else:
            self._allow_endpoint(config)
        # The template takes the buckets' names from there with Fn::GetStackOutput, which asks with the stack's role:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getstackoutput.html
        self.allow_stack(config.stack_name("Data"), "DescribeStacks")

    def _allow_endpoint(self, config: StageConfig) -> None:
        stack_name = config.serving_stack_name
        named = "CloudFormation ends the names that it makes with random characters; the beginning is this stage's"
        model, endpoint_config, endpoint = (
            self._sagemaker_arn("model", f"*{model_id(config)}-*"),
            self._sagemaker_arn("endpoint-config", f"*{endpoint_config_id(config)}-*"),
            self._sagemaker_arn("endpoint", config.name),
        )
        self._allow_sagemaker(["CreateModel", "DescribeModel", "DeleteModel"], model, because=named)
        configured = ["CreateEndpointConfig", "DescribeEndpointConfig", "DeleteEndpointConfig"]
        self._allow_sagemaker(configured, endpoint_config, because=named)
        self._allow_sagemaker(["DescribeEndpoint", "DeleteEndpoint"], endpoint)
        self._allow_sagemaker(["CreateEndpoint", "UpdateEndpoint"], endpoint, endpoint_config)
        self._allow_sagemaker(["AddTags", "DeleteTags", "ListTags"], model, endpoint_config, endpoint)
        self._allow_passing(config, EXECUTION_ROLE_ID, "sagemaker")
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
        alarms = Stack.of(self).format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=f"{stack_name}-*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        self.allow(["cloudwatch:DescribeAlarms"], alarms, because=named)
        if config.autoscaling:
            self._allow_autoscaling(config, endpoint)

    def _allow_function(self, config: StageConfig) -> None:
        """The image is pulled by Lambda itself, which the repository's policy allows, as the bootstrap has made it.

        https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#configuration-images-permissions
        """
        whole = ("CreateFunction", "GetFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration", "DeleteFunction")
        tags = ("TagResource", "UntagResource")
        concurrency = ("PutFunctionConcurrency", "DeleteFunctionConcurrency")
        # What a handler reads, whether the template says anything of it or not.
        read = ("CodeSigningConfig", "RecursionConfig", "ScalingConfig")
        reading = (*(f"GetFunction{each}" for each in read), "GetRuntimeManagementConfig")
        self.allow([f"lambda:{verb}" for verb in (*whole, *tags, *concurrency, *reading)], model_arn(self, config))
        self._allow_passing(config, FUNCTION_ROLE_ID, "lambda")

    def _allow_passing(self, config: StageConfig, role_id: str, service: str) -> None:
        role = f"{config.serving_stack_name}-{role_id}-*"
        self.allow(
            ["iam:PassRole"],
            Stack.of(self).format_arn(service="iam", region="", resource="role", resource_name=role),
            conditions={"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}},
            because="CloudFormation ends the names that it makes with random characters; the beginning is this stage's",
        )

    def _allow_autoscaling(self, config: StageConfig, endpoint: str) -> None:
        """A pause takes the scalable target and its policy away, and a resume brings them back.

        The writing actions know one resource, `scalable-target/*`, and are held to SageMaker's by the service's key:
        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsapplicationautoscaling.html
        What the service does then in the caller's name:
        https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html
        Its service-linked role is there: the deployment that switched scaling on has made it.
        """
        service, format_arn = "application-autoscaling", Stack.of(self).format_arn
        targets = format_arn(service=service, resource="scalable-target", resource_name="*")
        named = "Application Auto Scaling knows no other resource; changes are held to SageMaker's targets"
        changes = ("RegisterScalableTarget", "DeregisterScalableTarget", "PutScalingPolicy", "DeleteScalingPolicy")
        of_sagemaker = {"StringEquals": {f"{service}:service-namespace": "sagemaker"}}
        self.allow([f"{service}:{verb}" for verb in changes], targets, conditions=of_sagemaker, because=named)
        self.allow([f"{service}:TagResource", f"{service}:ListTagsForResource"], targets, because=named)
        looks = ("DescribeScalableTargets", "DescribeScalingPolicies", "DescribeScheduledActions")
        self.allow(
            [*(f"{service}:{verb}" for verb in looks), "cloudwatch:GetMetricData"],
            "*",
            because="what Application Auto Scaling and CloudWatch tell knows no resources",
        )
        alarms = format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=f"TargetTracking-endpoint/{config.name}/*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        of_tracking = ["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms"]
        self.allow(of_tracking, alarms, because="target tracking ends its alarms' names with random characters")
        self._allow_sagemaker(["UpdateEndpointWeightsAndCapacities"], endpoint)

    def _sagemaker_arn(self, kind: str, name: str) -> str:
        return Stack.of(self).format_arn(service="sagemaker", resource=kind, resource_name=name)

    def _allow_sagemaker(self, verbs: list[str], *resources: str, because: str = "") -> None:
        self.allow([f"sagemaker:{verb}" for verb in verbs], *resources, because=because)
