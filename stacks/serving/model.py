"""Who answers for a stage's model, as the functions know it and may ask it: the endpoint, or the function that stands
for one.

It is named, not referred to: who asks it is deployed before it, or while it is made.
"""

from aws_cdk import ArnFormat, Stack
from constructs import Construct

from stacks.config import StageConfig
from stacks.permissions import Role


def model_arn(scope: Construct, config: StageConfig) -> str:
    """Its ARN."""
    if config.serving == "lambda":
        return Stack.of(scope).format_arn(
            service="lambda",
            resource="function",
            resource_name=config.name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
    return Stack.of(scope).format_arn(service="sagemaker", resource="endpoint", resource_name=config.name)


def model_name(scope: Construct, config: StageConfig) -> str:
    """What functions are told, who tell the one from the other by it: the endpoint's name, or the function's ARN."""
    return model_arn(scope, config) if config.serving == "lambda" else config.name


def allow_asking(role: Role, config: StageConfig, *, looking: bool = False) -> None:
    """Allow to ask the model, and with `looking` also how it is."""
    asks, looks = "sagemaker:InvokeEndpoint", "sagemaker:DescribeEndpoint"
    if config.serving == "lambda":
        asks, looks = "lambda:InvokeFunction", "lambda:GetFunctionConfiguration"
    role.allow([asks, looks] if looking else [asks], model_arn(role, config))
