"""The buckets: what outlives every deployment. `data` holds what users give, `artifacts` what training makes of it."""

from typing import Any

from aws_cdk import CfnOutput, CfnWaitConditionHandle, Duration, RemovalPolicy, Stack
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contract.annotations import IMAGES_PREFIX
from contract.idempotency import IDEMPOTENCY_DAYS, IDEMPOTENCY_PREFIX
from contract.limits import UPLOADS_PREFIX
from contract.progress import CHECKPOINTS_PREFIX
from contract.trainings import SNAPSHOTS_PREFIX
from stacks.config import StageConfig
from stacks.nag import acknowledge

TRAINING_PREFIXES = (IMAGES_PREFIX, SNAPSHOTS_PREFIX)
"""Where in the data bucket a training job may read: manifests, and the images that they name."""


class DataStack(Stack):
    """Two private, encrypted, versioned buckets. The stage's `retain_data` says whether they survive `cdk destroy`.

    A bucket that the stage adopts (`data_bucket`, `artifacts_bucket`) is named here and otherwise left alone.

    The other stacks refer to these buckets by Fn::GetStackOutput, which CloudFormation reads when *they* are updated.
    If this stack alone is made anew, the others keep the former buckets' names, and CDK skips them, as their templates
    have not changed: `cdk deploy --all --force` asks for an update. Adopted buckets are named in the templates instead.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getstackoutput.html
    """

    def __init__(self, scope: Construct, id: str, *, config: StageConfig) -> None:
        super().__init__(scope, id, description="Wordsight: buckets for data and model artifacts")
        methods = [s3.HttpMethods.GET, s3.HttpMethods.PUT, s3.HttpMethods.POST]
        origins = list(config.cors_origins)
        allowed = s3.CorsRule(allowed_origins=origins, allowed_methods=methods, allowed_headers=["*"])
        self.data = _adopted(self, "Data", config.data_bucket) or _bucket(
            self,
            "Data",
            config,
            [_passing(UPLOADS_PREFIX, 1), _passing(IDEMPOTENCY_PREFIX, IDEMPOTENCY_DAYS)],
            cors=[allowed] if config.cors_origins else None,
        )
        self.artifacts = _adopted(self, "Artifacts", config.artifacts_bucket) or _bucket(
            self, "Artifacts", config, [_passing(CHECKPOINTS_PREFIX, 30)]
        )
        if config.data_bucket and config.artifacts_bucket:
            CfnWaitConditionHandle(self, "Nothing")  # a stack must have a resource: this is one that does nothing
        CfnOutput(self, "DataBucketName", value=self.data.bucket_name)
        CfnOutput(self, "ArtifactsBucketName", value=self.artifacts.bucket_name)


def _adopted(scope: Construct, id: str, name: str) -> s3.IBucket | None:
    return s3.Bucket.from_bucket_name(scope, id, name) if name else None


def _bucket(
    scope: Construct, id: str, config: StageConfig, rules: list[s3.LifecycleRule], **properties: Any
) -> s3.Bucket:
    unfinished = s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(1))
    replaced = s3.LifecycleRule(noncurrent_version_expiration=Duration.days(30), expired_object_delete_marker=True)
    bucket = s3.Bucket(
        scope,
        id,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.S3_MANAGED,
        enforce_ssl=True,
        versioned=True,
        minimum_tls_version=1.2,
        removal_policy=RemovalPolicy.RETAIN if config.retain_data else RemovalPolicy.DESTROY,
        auto_delete_objects=not config.retain_data,
        lifecycle_rules=[unfinished, *rules, replaced],
        **properties,
    )
    if config.retain_data and bucket.policy:
        bucket.policy.apply_removal_policy(RemovalPolicy.RETAIN)  # a bucket that is kept insists on TLS as before
    acknowledge(
        bucket,
        "the buckets are private and read by three roles of this app only; CloudTrail data events can be switched on "
        "where every read must be on record, without a third bucket that outlives the others",
        "S1",
    )
    return bucket


def _passing(prefix: str, days: int) -> s3.LifecycleRule:
    """What lies here is needed for some days only, and nobody asks for what it replaced."""
    return s3.LifecycleRule(
        prefix=prefix, expiration=Duration.days(days), noncurrent_version_expiration=Duration.days(1)
    )
