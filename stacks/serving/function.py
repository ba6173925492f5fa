"""The model as a Lambda function: the same image with another command, and nothing that costs while nobody asks.

A new `ModelUri` or another image changes the function in place: there is no second fleet that could be tried before it
answers, and no alarm that takes an update back. What answers wrongly the promotion's own questions find out, which
bring the former model back (lambdas/rollout/probe.py).
"""

from typing import cast

from aws_cdk import Aws, CfnCondition, CfnParameter
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from contract.containers import FunctionSettings
from contract.models import MODELS_PREFIX
from contract.serving_function import COMMAND
from stacks.config import StageConfig
from stacks.data import DataStack
from stacks.handler_function import log_group
from stacks.images import ContainerImage
from stacks.permissions import Role

FUNCTION_ROLE_ID = "FunctionRole"
"""Without the library's digest, as the endpoint's role (stacks/serving/update_role.py): it is passed on by its name."""

START_S = 120
"""How long one call may take, of which a first one fetches and loads a checkpoint. Who has asked waits a shorter time,
and the next one finds it loaded."""
S3_ENDPOINT = f"https://s3.{Aws.REGION}.{Aws.URL_SUFFIX}"
"""Said, for the S3 client of model/serving/s3.py knows one suffix, and China has another."""
DISK_MB = 4096
"""For a checkpoint and what is computed from it: those of the largest CLIPs that are known have 3 GB."""


def serving_function(
    scope: Construct,
    config: StageConfig,
    data: DataStack,
    image: ContainerImage,
    model_uri: CfnParameter,
    not_paused: CfnCondition,
) -> lambda_.CfnFunction:
    """The function, which is there while the stage is not paused. It may read models and write its log."""
    log = log_group(scope, "FunctionLogs", config)
    role = Role(scope, FUNCTION_ROLE_ID, service="lambda")
    cast(iam.CfnRole, role.node.default_child).override_logical_id(FUNCTION_ROLE_ID)
    log.grant_write(role)
    role.allow_read(data.artifacts, MODELS_PREFIX)
    settings = FunctionSettings(
        exact=config.exact,
        precision="fp32",  # some of Lambda's processors compute bf16: an answer would depend on which one a call meets
        queue_budget_ms=config.queue_budget_ms,
        model_s3_uri=model_uri.value_as_string,
    ).to_env()
    function = lambda_.CfnFunction(
        scope,
        "Function",
        description="Wordsight: the model",
        # A physical name, for who asks it is deployed before it; see stacks/serving/model.py.
        function_name=config.name,
        package_type="Image",
        code=lambda_.CfnFunction.CodeProperty(image_uri=image.uri),
        image_config=lambda_.CfnFunction.ImageConfigProperty(command=list(COMMAND)),
        architectures=["x86_64"],
        role=role.role_arn,
        memory_size=config.function_memory_mb,
        timeout=START_S,
        ephemeral_storage=lambda_.CfnFunction.EphemeralStorageProperty(size=DISK_MB),
        environment=lambda_.CfnFunction.EnvironmentProperty(variables={**settings, "AWS_ENDPOINT_URL": S3_ENDPOINT}),
        reserved_concurrent_executions=config.function_concurrency or None,
        logging_config=lambda_.CfnFunction.LoggingConfigProperty(log_group=log.log_group_name),
    )
    function.cfn_options.condition = not_paused
    function.node.add_dependency(role)  # with its policies: it reads the bucket when it starts
    return function
