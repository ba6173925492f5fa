"""What SageMaker may do while it runs one of our containers. The containers themselves are cut off from the network."""

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct


class ExecutionRole(iam.Role):
    """A role of SageMaker's that writes one log group and one metric namespace; the rest is granted by the stacks.

    Its trust has no aws:SourceAccount condition: only principals of this account with iam:PassRole can hand the role
    to SageMaker, and which of SageMaker's calls carry that key is not documented.
    """

    def __init__(self, scope: Construct, id: str, *, log_group_name: str, metric_namespace: str) -> None:
        super().__init__(scope, id, assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        logs_arn = Stack.of(self).format_arn(
            service="logs", resource="log-group", resource_name=log_group_name, arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        self.allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [logs_arn, f"{logs_arn}:*"],
        )
        self.allow(
            ["cloudwatch:PutMetricData"],
            ["*"],  # the action knows no resources; the condition narrows it
            conditions={"StringEquals": {"cloudwatch:namespace": metric_namespace}},
        )

    def allow(self, actions: list[str], resources: list[str], conditions: dict[str, object] | None = None) -> None:
        """Add one statement to the role's policy."""
        self.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions))

    def allow_read(self, bucket: s3.IBucket, *prefixes: str) -> None:
        """Allow listing and reading objects under `prefixes`, which end with a slash."""
        self.allow(
            ["s3:ListBucket"],
            [bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        )
        self.allow(["s3:GetObject"], [bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes])

    def allow_write(self, bucket: s3.IBucket, *prefixes: str) -> None:
        """Allow writing objects under `prefixes`, which end with a slash."""
        self.allow(["s3:PutObject"], [bucket.arn_for_objects(f"{prefix}*") for prefix in prefixes])
