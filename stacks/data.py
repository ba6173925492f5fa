"""The buckets: what outlives every deployment. `data` holds what users give, `artifacts` what training makes of it."""

from typing import Any

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contract.annotations import IMAGES_PREFIX
from contract.idempotency import IDEMPOTENCY_DAYS, IDEMPOTENCY_PREFIX
from contract.limits import UPLOADS_PREFIX
from contract.trainings import SNAPSHOTS_PREFIX
from stacks.config import StageConfig
from stacks.nag import acknowledge

TRAINING_PREFIXES = (IMAGES_PREFIX, SNAPSHOTS_PREFIX)
"""Where in the data bucket a training job may read: manifests, and the images that they name."""
CHECKPOINTS_PREFIX = "checkpoints/"


class DataStack(Stack):
    """Two private, encrypted buckets. The stage's `retain_data` says whether they survive `cdk destroy`."""

    def __init__(self, scope: Construct, id: str, *, config: StageConfig) -> None:
        super().__init__(scope, id, description="Wordsight: buckets for data and model artifacts")
        methods = [s3.HttpMethods.GET, s3.HttpMethods.PUT, s3.HttpMethods.POST]
        origins = list(config.cors_origins)
        allowed = s3.CorsRule(allowed_origins=origins, allowed_methods=methods, allowed_headers=["*"])
        self.data = _bucket(
            self,
            "Data",
            config,
            [
                _passing(UPLOADS_PREFIX, 1),
                _passing(IDEMPOTENCY_PREFIX, IDEMPOTENCY_DAYS),
                s3.LifecycleRule(noncurrent_version_expiration=Duration.days(30), expired_object_delete_marker=True),
            ],
            versioned=True,
            cors=[allowed] if config.cors_origins else None,
        )
        passing = s3.LifecycleRule(prefix=CHECKPOINTS_PREFIX, expiration=Duration.days(30))
        self.artifacts = _bucket(self, "Artifacts", config, [passing])
        CfnOutput(self, "DataBucketName", value=self.data.bucket_name)
        CfnOutput(self, "ArtifactsBucketName", value=self.artifacts.bucket_name)


def _bucket(
    scope: Construct, id: str, config: StageConfig, rules: list[s3.LifecycleRule], **properties: Any
) -> s3.Bucket:
    bucket = s3.Bucket(
        scope,
        id,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.S3_MANAGED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        removal_policy=RemovalPolicy.RETAIN if config.retain_data else RemovalPolicy.DESTROY,
        auto_delete_objects=not config.retain_data,
        lifecycle_rules=[s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(1)), *rules],
        **properties,
    )
    acknowledge(
        bucket,
        "the buckets are private and read by three roles of this app only; CloudTrail data events can be switched on "
        "where every read must be on record, without a third bucket that outlives the others",
        "S1",
    )
    return bucket


def _passing(prefix: str, days: int) -> s3.LifecycleRule:
    """What lies here is needed for some days only."""
    gone = Duration.days(days)
    return s3.LifecycleRule(prefix=prefix, expiration=gone, noncurrent_version_expiration=gone)
