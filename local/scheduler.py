"""EventBridge Scheduler in the emulator: the role that starts what a schedule starts, and the time it tells.

The emulator knows no time zones: what is written in one is due at that hour of UTC.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from ministack.services import eventbridge

from local.permissions import Permissions
from local.sagemaker import Record

SOURCE = "aws.scheduler"
SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
"""https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""


def extend(permissions: Permissions) -> None:
    """Wrap what sends a schedule's event."""
    eventbridge._invoke_target = partial(_invoke_target, eventbridge._invoke_target, permissions)


def _invoke_target(inner: Any, permissions: Permissions, target: Record, event: Record, *others: Any) -> Any:
    if event.get("Source") == SOURCE:
        permissions.imply("a schedule starts an execution", target["RoleArn"], machine_arn=target["Arn"])
        due = datetime.fromtimestamp(event["Time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        target = {**target, "Input": target["Input"].replace(SCHEDULED_TIME, due)}
    return inner(target, event, *others)
