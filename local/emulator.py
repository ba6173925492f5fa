"""The emulator's launcher: ministack with SageMaker registered in it, and what its REST API leaves out.

`python -m local.emulator` runs until SIGTERM. Every extension fills a module-level table of ministack or wraps one of
its functions; those are private, so the release is pinned and `check` names at start whatever has moved.
"""

import contextlib
import importlib.metadata
import os
import sys
import time
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, router
from ministack.services import apigateway_v1, cloudwatch, eventbridge, lambda_svc, s3, sts
from ministack.services import cloudformation as formation
from ministack.services import iam as roles
from ministack.services import stepfunctions as step_functions
from ministack.services.cloudformation import handlers, provisioners, stacks

from local import apigateway, cloudformation, figures, front_door, functions, iam, sagemaker, scheduler, stepfunctions
from local.containers import Images
from local.endpoints import Endpoints
from local.functions import Functions
from local.settings import LocalSettings
from local.training import TrainingJobs

MINISTACK_VERSION = "1.5.33"

NEEDED = {
    app: "SERVICE_HANDLERS app detect_service pin_request_origin _handle_options_request _parse_execute_api_url"
    " _s3_cors_target",
    router: "SERVICE_PATTERNS",
    handlers: "_capabilities_enforced",
    formation: "_stacks",
    provisioners: "_RESOURCE_HANDLERS",
    stacks: "_runs_on_worker_thread",
    s3: "_bucket_tags _buckets",
    cloudwatch: "record_metric",
    eventbridge: "_invoke_target",
    lambda_runtime: "reset invalidate_worker",
    lambda_svc: "_execute_function_with_config_scope _execute_function_docker",
    sts: "register_session _sessions",
    roles: "_roles",
    iam_actions: "SERVICE_TO_IAM_NAMESPACE extract_iam_action extract_resource_arn s3_additional_checks",
    iam_evaluator: "EvalContext evaluate enforce _gather_role_policies",
    apigateway_v1: "_build_lambda_event_v1 _execute_in_scope _gateway_error_response _GatewayError"
    " _lambda_proxy_response _invoke_authorizer_lambda _api_key_from_request _resolve_api_key _rest_apis"
    " _handle_execute_in_scope",
    step_functions: "_SERVICE_DISPATCH _executions _map_runs _ExecutionError _execute_task _fail_execution"
    " _execute_wait _invoke_resource _run_map_items _state_machines",
}
"""What of ministack the extensions fill, wrap or use: names by module."""


def check() -> None:
    """Exit with a sentence if ministack no longer has what the extensions need."""
    installed = importlib.metadata.version("ministack")
    needed = [(module, name) for module, names in NEEDED.items() for name in names.split()]
    moved = [f"{module.__name__}.{name}" for module, name in needed if not hasattr(module, name)]
    if moved or installed != MINISTACK_VERSION:
        lacks = f" It lacks {', '.join(moved)}." if moved else ""
        sys.exit(f"Local mode needs ministack {MINISTACK_VERSION}, and {installed} is installed.{lacks}")


def extend(settings: LocalSettings) -> tuple[Endpoints, TrainingJobs, Functions]:
    """Register SageMaker and the repairs in ministack's tables; returns what runs containers."""
    session = boto3.Session()
    shipped = settings.repository / "model" / "shipped"
    sink = partial(_put_log_lines, session.client("logs"))
    images = Images(settings.cloud_assembly, shipped, settings.bases, settings.logs, sink)
    engine = iam.Engine(settings.decisions)
    endpoints = Endpoints(settings.programs, images, engine)
    jobs = TrainingJobs(settings.programs, images, engine)
    of_images = Functions(settings.programs, images, engine, _client_variables())
    operations = {
        "DescribeEndpoint": endpoints.describe_endpoint,
        "CreateTrainingJob": jobs.create,
        "DescribeTrainingJob": jobs.describe,
        "ListTrainingJobs": jobs.list,
        "StopTrainingJob": jobs.stop,
    }
    app.SERVICE_HANDLERS["sagemaker"] = partial(sagemaker.handle, operations, figures.counting(endpoints.invoke))
    router.SERVICE_PATTERNS["sagemaker"] = {"target_prefixes": ["SageMaker."]}
    cloudformation.extend(endpoints, of_images, engine)
    functions.extend(of_images)
    stepfunctions.extend(jobs, engine)
    scheduler.extend(engine)
    apigateway.extend()
    figures.extend()
    iam.extend(engine)
    front_door.extend()
    return endpoints, jobs, of_images


def _client_variables() -> dict[str, str]:
    """What leads an AWS client to this emulator, and nowhere else."""
    names = ("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP", "AWS_REGION", "AWS_DEFAULT_REGION")
    return {name: os.environ[name] for name in names}


def _put_log_lines(logs: Any, group: str, stream: str, lines: list[str]) -> None:
    events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
    with contextlib.suppress(BotoCoreError):  # the emulator is going down; the file has the lines
        with contextlib.suppress(ClientError):
            logs.create_log_group(logGroupName=group)
        with contextlib.suppress(ClientError):
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def main() -> None:
    check()
    endpoints, jobs, of_images = extend(LocalSettings.from_env(os.environ))
    try:
        app.main()
    finally:
        jobs.stop_all()
        endpoints.stop_all()
        of_images.stop_all()
        lambda_runtime.reset()


if __name__ == "__main__":
    main()
