"""A Lambda function that runs one module of `lambdas/`: its code, its log and a role that may do nothing else yet."""

from collections.abc import Mapping

from aws_cdk import Aws, CfnCondition, Duration, Fn, IgnoreMode, RemovalPolicy, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from contract.limits import LAMBDA_TIMEOUT_S
from lambdas.settings import PROCESS
from stacks.config import (
    LOG_RETENTION_DAYS,
    POWERTOOLS_ACCOUNT,
    POWERTOOLS_ACCOUNTS,
    POWERTOOLS_LAYER,
    POWERTOOLS_LAYER_VERSION,
    StageConfig,
)
from stacks.images import REPOSITORY_ROOT
from stacks.permissions import Role

CODE = ("/*", "!/lambdas", "!/contract", "__pycache__")
"""What of the repository a function holds, as .gitignore patterns: the handlers and the contract."""

MEMORY_MB = 1024
"""Lambda's CPU grows with memory: enough to decode 4 MB of base64 in a few milliseconds."""


class HandlerFunction(lambda_.Function):
    """`handler` of `lambdas/<module>/main.py`. What it may do is granted to `permissions`, its role."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        config: StageConfig,
        module: str,
        environment: Mapping[str, str],
        description: str,
        *,
        timeout_s: int = LAMBDA_TIMEOUT_S,
    ) -> None:
        self.module = module
        log = log_group(scope, f"{id}Logs", config)
        # A role of our own: the one that the library makes may write to every log group of the account.
        self.permissions = Role(scope, f"{id}Role", service="lambda")
        self.permissions.wildcards["*"] = "X-Ray's actions know no resources"
        log.grant_write(self.permissions)
        layer = f"{POWERTOOLS_LAYER}:{POWERTOOLS_LAYER_VERSION}"
        layer_arn = f"arn:{Aws.PARTITION}:lambda:{Aws.REGION}:{_powertools_account(Stack.of(scope))}:layer:{layer}"
        super().__init__(
            scope,
            id,
            description=f"Wordsight: {description}",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"lambdas.{module}.main.handler",
            code=lambda_.Code.from_asset(str(REPOSITORY_ROOT), exclude=list(CODE), ignore_mode=IgnoreMode.GIT),
            environment={**PROCESS, **environment},
            layers=[lambda_.LayerVersion.from_layer_version_arn(scope, f"{id}Powertools", layer_arn)],
            timeout=Duration.seconds(timeout_s),
            memory_size=MEMORY_MB,
            role=self.permissions,
            log_group=log,
            tracing=lambda_.Tracing.ACTIVE,
        )


def _powertools_account(stack: Stack) -> str:
    """Whose layer it is where the stack is deployed, which is not known before."""
    account = POWERTOOLS_ACCOUNT
    for region, copy in POWERTOOLS_ACCOUNTS.items():
        id = "Is" + region.title().replace("-", "")
        made = stack.node.try_find_child(id)
        there = (
            made
            if isinstance(made, CfnCondition)
            else CfnCondition(stack, id, expression=Fn.condition_equals(Aws.REGION, region))
        )
        account = Fn.condition_if(there.logical_id, copy, account).to_string()
    return account


def log_group(scope: Construct, id: str, config: StageConfig, *, name: str | None = None) -> logs.LogGroup:
    """A log group that ends with its stack: one that a service makes by itself is kept for ever.

    `name` only where a service insists on one.
    """
    return logs.LogGroup(
        scope, id, log_group_name=name, retention=retention(config), removal_policy=RemovalPolicy.DESTROY
    )


def retention(config: StageConfig) -> logs.RetentionDays:
    """How long the stage keeps logs."""
    return logs.RetentionDays[LOG_RETENTION_DAYS[config.log_retention_days]]
