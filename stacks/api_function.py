"""The Lambda function behind the API: its code, its environment and exactly what it may do."""

from aws_cdk import Aws, Duration, IgnoreMode
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from lambdas.settings import ApiSettings
from model.contract import LAMBDA_TIMEOUT_S, UPLOADS_PREFIX
from stacks.config import POWERTOOLS_LAYER_VERSION, StageConfig
from stacks.images import REPOSITORY_ROOT
from stacks.log_groups import log_group

CODE = ("/*", "!/lambdas", "!/model", "/model/*", "!/model/__init__.py", "!/model/contract.py", "__pycache__")
"""What of the repository a function holds, as .gitignore patterns: the handlers and the contract."""

MEMORY_MB = 1024
"""Lambda's CPU grows with memory: enough to decode 4 MB of base64 in a few milliseconds."""

POWERTOOLS_ACCOUNT = "017000801446"


class ApiFunction(lambda_.Function):
    """Answers every route. May call one endpoint, look at its status, and read uploaded images."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        config: StageConfig,
        endpoint_name: str,
        endpoint_arn: str,
        data_bucket: s3.IBucket,
    ) -> None:
        logs = log_group(scope, f"{id}Logs", config)
        # A role of our own: the one that the library makes may write to every log group of the account.
        role = iam.Role(scope, f"{id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        logs.grant_write(role)
        settings = ApiSettings(
            endpoint_name=endpoint_name, data_bucket=data_bucket.bucket_name, cors_origins=config.cors_origins
        )
        super().__init__(
            scope,
            id,
            description="Wordsight: answers the API's routes",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            handler="lambdas.classify.handler",
            code=lambda_.Code.from_asset(str(REPOSITORY_ROOT), exclude=list(CODE), ignore_mode=IgnoreMode.GIT),
            environment=settings.to_env(),
            layers=[lambda_.LayerVersion.from_layer_version_arn(scope, f"{id}Powertools", _powertools_layer_arn())],
            timeout=Duration.seconds(LAMBDA_TIMEOUT_S),
            memory_size=MEMORY_MB,
            role=role,
            log_group=logs,
            tracing=lambda_.Tracing.ACTIVE,
        )
        for actions, resource in (
            (["sagemaker:InvokeEndpoint", "sagemaker:DescribeEndpoint"], endpoint_arn),
            (["s3:GetObject"], data_bucket.arn_for_objects(f"{UPLOADS_PREFIX}*")),
        ):
            self.add_to_role_policy(iam.PolicyStatement(actions=actions, resources=[resource]))


def _powertools_layer_arn() -> str:
    """https://docs.aws.amazon.com/powertools/python/latest/getting-started/install/#lambda-layer"""
    layer = f"AWSLambdaPowertoolsPythonV3-python314-arm64:{POWERTOOLS_LAYER_VERSION}"
    return f"arn:{Aws.PARTITION}:lambda:{Aws.REGION}:{POWERTOOLS_ACCOUNT}:layer:{layer}"
