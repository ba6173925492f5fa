"""The emulator's launcher: ministack with SageMaker registered in it, and what its REST API leaves out.

`python -m local.emulator` runs until SIGTERM. Every extension fills a module-level table of ministack or wraps one of
its functions; those are private, so the release is pinned and `check` names at start whatever has moved.
"""

import contextlib
import importlib.metadata
import os
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from ministack import app
from ministack.core import lambda_runtime, router

from local import cloudformation, restapi, stepfunctions
from local.containers import Images, LogSink
from local.sagemaker import SageMaker
from local.settings import LocalSettings

MINISTACK_VERSION = "1.5.33"

NEEDED = (
    (app, "SERVICE_HANDLERS"),
    (router, "SERVICE_PATTERNS"),
    (lambda_runtime, "reset"),
    *cloudformation.NEEDED,
    *restapi.NEEDED,
    *stepfunctions.NEEDED,
)
"""What of ministack the extensions fill, wrap or use, as (module, name)."""


def check() -> None:
    """Exit with a sentence if ministack no longer has what the extensions need."""
    installed = importlib.metadata.version("ministack")
    moved = [f"{module.__name__}.{name}" for module, name in NEEDED if not hasattr(module, name)]
    if moved or installed != MINISTACK_VERSION:
        lacks = f" It lacks {', '.join(moved)}." if moved else ""
        sys.exit(f"Local mode needs ministack {MINISTACK_VERSION}, and {installed} is installed.{lacks}")


def extend(settings: LocalSettings) -> SageMaker:
    """Register SageMaker and the repairs in ministack's tables."""
    session = boto3.Session()
    shipped = settings.repository / "model" / "shipped"
    images = Images(settings.cloud_assembly, shipped, settings.logs, _cloudwatch_logs(session))
    sagemaker = SageMaker(settings.programs, images, session.client("s3"))
    app.SERVICE_HANDLERS["sagemaker"] = sagemaker.handle_request
    router.SERVICE_PATTERNS["sagemaker"] = {"target_prefixes": ["SageMaker."]}
    cloudformation.extend(sagemaker.endpoints)
    stepfunctions.extend(sagemaker)
    restapi.extend()
    return sagemaker


def _cloudwatch_logs(session: boto3.Session) -> LogSink:
    logs = session.client("logs")

    def put(group: str, stream: str, lines: list[str]) -> None:
        events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
        with contextlib.suppress(BotoCoreError):  # the emulator is going down; the file has the lines
            with contextlib.suppress(ClientError):
                logs.create_log_group(logGroupName=group)
            with contextlib.suppress(ClientError):
                logs.create_log_stream(logGroupName=group, logStreamName=stream)
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    return put


def main() -> None:
    check()
    settings = LocalSettings.from_env(os.environ)
    sagemaker = extend(settings)
    try:
        app.main()
    finally:
        sagemaker.stop_all()
        lambda_runtime.reset()


if __name__ == "__main__":
    main()
