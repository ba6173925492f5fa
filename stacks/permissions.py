"""Roles: what AWS's services may do in this app's name, granted statement by statement."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct


class Role(iam.Role):
    """A role that one service takes. It may do nothing yet.

    `wildcards`: why each resource with an asterisk is granted, by its ARN. nag.py lets these stand and no other.
    """

    def __init__(self, scope: Construct, id: str, *, service: str) -> None:
        super().__init__(scope, id, assumed_by=iam.ServicePrincipal(f"{service}.amazonaws.com"))
        self.wildcards: dict[str, str] = {}

    def allow(
        self, actions: list[str], *resources: str, because: str = "", conditions: Mapping[str, Any] | None = None
    ) -> None:
        """Add one statement to the role's policy. `because`: the reason for asterisks in `resources`."""
        self.add_to_policy(iam.PolicyStatement(actions=actions, resources=list(resources), conditions=conditions))
        if because:
            self.wildcards |= dict.fromkeys(resources, because)

    def allow_objects(self, bucket: s3.IBucket, actions: list[str], *prefixes: str) -> None:
        """Allow `actions` on the objects of a bucket under `prefixes`. Raises ValueError for what is no folder."""
        if wide := [prefix for prefix in prefixes if not prefix.endswith("/") or "*" in prefix]:
            raise ValueError(f"a prefix ends with a slash and has no asterisk, got {wide}")
        self.allow(
            actions,
            *(bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes),
            because="callers, trainings and promotions name what is kept under these prefixes, which are fixed",
        )

    def allow_listing(self, bucket: s3.IBucket) -> None:
        """Allow listing a whole bucket: S3 says NoSuchKey of an absent key only to who may, else AccessDenied."""
        self.allow(["s3:ListBucket"], bucket.bucket_arn)

    def allow_read(self, bucket: s3.IBucket, *prefixes: str) -> None:
        """Allow listing and reading objects under `prefixes`, which end with a slash."""
        listed = {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}
        self.allow(["s3:ListBucket"], bucket.bucket_arn, conditions={"StringLike": listed})
        self.allow_objects(bucket, ["s3:GetObject"], *prefixes)

    def allow_stack(self, name: str, *verbs: str, conditions: Mapping[str, Any] | None = None) -> None:
        """Allow CloudFormation's `verbs` on a stack by its name, which need not exist yet."""
        self.allow(
            [f"cloudformation:{verb}" for verb in verbs],
            Stack.of(self).format_arn(service="cloudformation", resource="stack", resource_name=f"{name}/*"),
            because="a stack's ARN ends with an id that changes when it is made anew; its name is fixed",
            conditions=conditions,
        )


class ExecutionRole(Role):
    """What SageMaker may do while it runs one of our containers, which are cut off from the network themselves.

    It writes to one log group, and there to streams that begin with `log_streams`, and to one metric namespace. Its
    trust has no aws:SourceAccount condition: only principals of this account with iam:PassRole can hand the role to
    SageMaker, and which of SageMaker's calls carry that key is not documented.
    """

    def __init__(
        self, scope: Construct, id: str, *, log_group_name: str, log_streams: str = "", metric_namespace: str
    ) -> None:
        super().__init__(scope, id, service="sagemaker")
        logs_arn = Stack.of(self).format_arn(
            service="logs", resource="log-group", resource_name=log_group_name, arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        streams, each = f"{logs_arn}:log-stream:", "every job and every instance logs to a stream of its own"
        self.allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"{streams}{log_streams}*", because=each)
        # What is about a group is refused under its plain ARN, and under one with `:log-stream:` behind it.
        self.allow(["logs:CreateLogGroup", "logs:DescribeLogStreams"], logs_arn, streams)
        self.allow(
            ["cloudwatch:PutMetricData"],
            "*",
            conditions={"StringEquals": {"cloudwatch:namespace": metric_namespace}},
            because="ecr:GetAuthorizationToken and cloudwatch:PutMetricData know no resources; the latter is held to "
            "one namespace",
        )
