"""A Lambda function that runs one module of `lambdas/`: its code, its log and a role that may do nothing else yet."""

from collections.abc import Mapping

from aws_cdk import Aws, Duration, IgnoreMode
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contract.limits import LAMBDA_TIMEOUT_S
from stacks.config import POWERTOOLS_LAYER_VERSION, StageConfig
from stacks.images import REPOSITORY_ROOT
from stacks.log_groups import log_group

CODE = ("/*", "!/lambdas", "!/contract", "__pycache__")
"""What of the repository a function holds, as .gitignore patterns: the handlers and the contract."""

MEMORY_MB = 1024
"""Lambda's CPU grows with memory: enough to decode 4 MB of base64 in a few milliseconds."""

POWERTOOLS_ACCOUNT = "017000801446"


class HandlerFunction(lambda_.Function):
    """`handler` of `lambdas/<module>/main.py`. What it may do is granted statement by statement."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        config: StageConfig,
        module: str,
        description: str,
        environment: Mapping[str, str],
        timeout_s: int = LAMBDA_TIMEOUT_S,
    ) -> None:
        logs = log_group(scope, f"{id}Logs", config)
        # A role of our own: the one that the library makes may write to every log group of the account.
        role = iam.Role(scope, f"{id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        logs.grant_write(role)
        super().__init__(
            scope,
            id,
            description=f"Wordsight: {description}",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"lambdas.{module}.main.handler",
            code=lambda_.Code.from_asset(str(REPOSITORY_ROOT), exclude=list(CODE), ignore_mode=IgnoreMode.GIT),
            environment=dict(environment),
            layers=[lambda_.LayerVersion.from_layer_version_arn(scope, f"{id}Powertools", _powertools_layer_arn())],
            timeout=Duration.seconds(timeout_s),
            memory_size=MEMORY_MB,
            role=role,
            log_group=logs,
            tracing=lambda_.Tracing.ACTIVE,
        )

    def allow(self, actions: list[str], *resources: str) -> None:
        """Add one statement to the role's policy."""
        self.add_to_role_policy(iam.PolicyStatement(actions=actions, resources=list(resources)))

    def allow_objects(self, bucket: s3.IBucket, actions: list[str], *prefixes: str) -> None:
        """Allow `actions` on the objects of a bucket under `prefixes`, which end with a slash."""
        self.allow(actions, *(bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes))

    def allow_listing(self, bucket: s3.IBucket) -> None:
        """Allow listing a whole bucket: S3 says NoSuchKey of an absent key only to who may, else AccessDenied."""
        self.allow(["s3:ListBucket"], bucket.bucket_arn)


def _powertools_layer_arn() -> str:
    """https://docs.aws.amazon.com/powertools/python/latest/getting-started/install/#lambda-layer"""
    layer = f"AWSLambdaPowertoolsPythonV3-python314-arm64:{POWERTOOLS_LAYER_VERSION}"
    return f"arn:{Aws.PARTITION}:lambda:{Aws.REGION}:{POWERTOOLS_ACCOUNT}:layer:{layer}"
