"""Log groups that end with their stack: without one of its own, a service makes a group that is kept for ever."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.config import LOG_RETENTION_DAYS, StageConfig


def retention(config: StageConfig) -> logs.RetentionDays:
    """How long the stage keeps logs."""
    return logs.RetentionDays[LOG_RETENTION_DAYS[config.log_retention_days]]


def log_group(scope: Construct, id: str, config: StageConfig, *, name: str | None = None) -> logs.LogGroup:
    """A log group with the stage's retention; `name` only where a service insists on one."""
    return logs.LogGroup(
        scope, id, log_group_name=name, retention=retention(config), removal_policy=RemovalPolicy.DESTROY
    )
