"""Take a stage down: stop what runs, delete what is stored unless the stage keeps it, list what is left.

    python -m operate.destroy dev

It may be run again at any time, and goes on where it was: stacks that are gone, half made or half deleted are no
hindrance.
"""

import argparse
import contextlib
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from botocore.exceptions import BotoCoreError, ClientError

from operate import verify_clean
from operate.cdk import cdk_command, run_cdk
from operate.evidence import is_absent, said
from operate.keys import Keys
from operate.stage import OperatorError, Stage, add_stage_arguments, chosen_stage
from operate.verify_clean import RUNNING_JOB
from stacks.config import StackPart

MAX_KEYS = 1000
"""Of one DeleteObjects."""
STOP_WAIT_S = 15 * 60
"""A job has two minutes to save its checkpoint, and is uploaded then."""
CHANGE_WAIT_S = 60 * 60
"""What an update of the endpoint may take that is under way: it can't be deleted meanwhile."""
POLL_S = 5
TELL_EVERY_KEYS = 10_000
_CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")

Tell = Callable[[str], None]
Sleep = Callable[[float], None]


def destroy(
    stage: Stage,
    context: Sequence[str] = (),
    *,
    tell: Tell,
    sleep: Sleep,
    cdk: Callable[[Sequence[str]], int],
) -> verify_clean.Remains:
    """Everything but the question. Raises OperatorError where a person has to decide first, or it can't go on.

    `context`: what the stage was deployed with, as name=value. `cdk` runs the CLI and returns its exit status.
    """
    refuse_if_protected(stage)
    api_ids = verify_clean.api_ids(stage)  # nobody knows them any more when the stack is gone
    told: set[str] = set()
    for _ in range(2):  # while the first round waits work may begin, and begin a change
        stop_what_runs(stage, tell, sleep, told)
        wait_for_changes(stage, tell, sleep, told)
    with _refusal_told("keys of callers are not revoked", tell):  # a plan holds on to the API's stage
        for name in Keys(stage).revoke_all():
            tell(f"revoked key {name}")
    for bucket in buckets_that_go(stage):
        with _refusal_told(f"{bucket} is emptied by CloudFormation's function", tell):
            empty(stage, bucket, tell)
    command = cdk_command("destroy", stage.config.stage, context, "--force")
    if any(stage.stack(part) for part in get_args(StackPart)) and cdk(command):
        raise OperatorError(
            f"cdk destroy failed, its last lines say why. Run it again, or ask: make doctor STAGE={stage.config.stage}"
        )
    with _refusal_told("log groups are not swept", tell):
        sweep_logs(stage, api_ids, tell)
    return verify_clean.look(stage)


@contextlib.contextmanager
def _refusal_told(what: str, tell: Tell) -> Iterator[None]:
    """An operator may have few rights: what AWS refuses is told, and the rest goes on."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        tell(f"{what}: {said(error)}")


def refuse_if_protected(stage: Stage) -> None:
    """Raises OperatorError if a stack is protected from deletion."""
    stacks = [stack for part in get_args(StackPart) if (stack := stage.stack(part))]
    if names := [stack["StackName"] for stack in stacks if stack.get("EnableTerminationProtection")]:
        lift = "aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name"
        commands = "\n".join(f"  {lift} {name}" for name in names)
        raise OperatorError(
            f"nothing was touched, as {' and '.join(names)} must not be deleted (termination protection). "
            f"To lift that:\n{commands}"
        )


def stop_what_runs(stage: Stage, tell: Tell, sleep: Sleep, told: set[str]) -> None:
    """Stop executions and training jobs, also those that begin meanwhile, until none is left.

    What may not be looked at is told once, and left. `told` remembers that, and what was asked to stop.
    """
    waited = 0.0
    while running := _stop(stage, tell, told):
        if waited >= STOP_WAIT_S:
            raise OperatorError(
                f"after {STOP_WAIT_S // 60} minutes these still run: {', '.join(running)}. Run it again, or stop them "
                "by hand: aws sagemaker stop-training-job, aws stepfunctions stop-execution"
            )
        sleep(POLL_S)
        waited += POLL_S


def _stop(stage: Stage, tell: Tell, told: set[str]) -> list[str]:
    """Ask everything that runs to stop, once each as `told` remembers. The names of what runs."""
    running = []
    for what, find, stop in (("execution", _executions, _stop_execution), ("training job", _jobs, _stop_job)):
        try:
            for each in find(stage):
                name = each.rpartition(":")[2]
                running.append(name)
                if each not in told:
                    tell(f"stopping {what} {name}")
                    told.add(each)
                    stop(stage, each)
        except (ClientError, BotoCoreError) as error:
            if what not in told:
                tell(f"could not be checked: {what}s that run: {said(error)}")
                told.add(what)
    return running


def _executions(stage: Stage) -> list[str]:
    machines = verify_clean.machines(stage)
    return [arn for machine in machines for arn in verify_clean.running_executions(stage, machine)]


def _stop_execution(stage: Stage, arn: str) -> None:
    _unless_over(stage.connect("stepfunctions").stop_execution, executionArn=arn, cause="make destroy")


def _jobs(stage: Stage) -> list[str]:
    return verify_clean.training_jobs(stage, *RUNNING_JOB)


def _stop_job(stage: Stage, name: str) -> None:
    _unless_over(stage.connect("sagemaker").stop_training_job, TrainingJobName=name)


def _unless_over(stop: Callable[..., Any], **of: str) -> None:
    """What has ended meanwhile can't be stopped."""
    try:
        stop(**of)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ValidationException", "ExecutionDoesNotExist", "ResourceNotFound"):
            raise


def wait_for_changes(stage: Stage, tell: Tell, sleep: Sleep, told: set[str]) -> None:
    """Until no stack and no endpoint is being changed, for it could not be deleted. `told`: see `stop_what_runs`."""
    waited = 0.0
    while changing := _changing(stage, tell, told):
        if waited >= CHANGE_WAIT_S:
            raise OperatorError(f"after {CHANGE_WAIT_S // 60} minutes this still changes: {changing}. Try again later")
        if waited % 60 == 0:
            tell(f"waiting: {changing}")
        sleep(POLL_S)
        waited += POLL_S


def _changing(stage: Stage, tell: Tell, told: set[str]) -> str:
    stacks = (stack for part in get_args(StackPart) if (stack := stage.stack(part)))
    states = {stack["StackName"]: stack["StackStatus"] for stack in stacks}
    # A change set that was never executed is "in review" for ever.
    changing = {name: status for name, status in states.items() if status.endswith("_IN_PROGRESS")}
    changing = {name: status for name, status in changing.items() if status != "REVIEW_IN_PROGRESS"}
    try:
        status = stage.connect("sagemaker").describe_endpoint(EndpointName=stage.config.name)["EndpointStatus"]
        if status in _CHANGING:
            changing[stage.config.name] = status
    except ClientError as error:
        if not is_absent(error) and stage.config.name not in told:
            told.add(stage.config.name)
            tell(f"could not be checked: the endpoint {stage.config.name}: {said(error)}")
    return ", ".join(f"{name} is {status}" for name, status in changing.items())


def buckets_that_go(stage: Stage) -> list[str]:
    """Those that CloudFormation deletes with their stack, by the template that is deployed."""
    stack = stage.stack("Data")
    if stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS":  # one whose change set was never executed
        return []
    template = stage.connect("cloudformation").get_template(StackName=stage.config.stack_name("Data"))["TemplateBody"]
    resources = (json.loads(template) if isinstance(template, str) else template)["Resources"]
    buckets = stage.physical_ids("Data", "AWS::S3::Bucket")
    return [
        name
        for logical_id, name in buckets.items()
        if resources.get(logical_id, {}).get("DeletionPolicy", "Delete") == "Delete"
    ]


def empty(stage: Stage, bucket: str, tell: Tell) -> None:
    """Delete every version of every object. Faster than the function that CloudFormation would call, and with no limit
    of its time. What can't be deleted is told and left to that function."""
    s3 = stage.connect("s3")
    gone, refused = 0, list[dict[str, str]]()
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, MaxKeys=MAX_KEYS):
            versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            keys = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions]
            if not keys:
                continue
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
            errors = answer.get("Errors", [])
            refused += errors
            before, gone = gone, gone + len(keys) - len(errors)
            if gone // TELL_EVERY_KEYS > before // TELL_EVERY_KEYS:
                tell(f"  {gone:,} versions of {bucket} are deleted")
    except ClientError as error:
        if is_absent(error):
            return
        raise
    if refused:
        tell(_undeleted(stage, bucket, refused))
    elif gone:
        tell(f"emptied {bucket}: {gone:,} versions")


def _undeleted(stage: Stage, bucket: str, refused: Sequence[Mapping[str, str]]) -> str:
    first = refused[0]
    code = first.get("Code", "")
    again = f"if the stack then can't be deleted, run it again: make destroy STAGE={stage.config.stage}"
    if code == "AccessDenied":
        again = (
            "an object lock or legal hold, the bucket's policy or your own rights forbid it; lift that "
            f"(aws s3api get-object-retention, get-bucket-policy), and {again}"
        )
    return (
        f"{len(refused):,} version(s) in {bucket} could not be deleted, such as {first.get('Key')}: "
        f"{code}: {first.get('Message', '')}. CloudFormation's function tries it again: {again}"
    )


def sweep_logs(stage: Stage, api_ids: Sequence[str], tell: Tell) -> None:
    """Delete the log groups that no stack deletes: of CDK's own functions, of SageMaker, of API Gateway."""
    logs = stage.connect("logs")
    for group in verify_clean.log_groups(stage, api_ids):
        name = group["logGroupName"]
        try:
            logs.delete_log_group(logGroupName=name)
        except ClientError as error:
            if not is_absent(error):
                raise
        tell(f"deleted log group {name}")


def may_go_on(stage: Stage, ask: Callable[[str], str]) -> bool:
    """Whether a person types the stage's name."""
    goes = buckets_that_go(stage)
    data = f"with all that is in {' and '.join(goes)}" if goes else "its buckets stay"
    question = f"{stage.config.stage} will be deleted, {data}. Type its name to go on: "
    return ask(question).strip() == stage.config.stage


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m operate.destroy", description="Take a stage down.")
    add_stage_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="don't ask")
    arguments = parser.parse_args()
    try:
        stage = chosen_stage(arguments)
        refuse_if_protected(stage)
        if not arguments.yes:
            if not sys.stdin.isatty():
                raise OperatorError("nobody can be asked here: give YES=1 if the stage may be deleted")
            if not may_go_on(stage, input):
                raise OperatorError("that is not its name, and nothing was touched")
        tell = functools.partial(print, flush=True)
        remains = destroy(stage, arguments.context, tell=tell, sleep=time.sleep, cdk=run_cdk)
    except OperatorError as error:
        sys.exit(str(error))
    except (ClientError, BotoCoreError) as error:
        sys.exit(f"AWS refused: {said(error)}\nmake doctor STAGE={arguments.stage} says more")
    print(verify_clean.written(stage, remains))
    sys.exit(0 if remains.is_clean else 1)


if __name__ == "__main__":
    main()
