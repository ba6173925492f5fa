"""What of a stage is left in the account, why, and what it costs a month: `python -m operate.verify_clean STAGE`.

Ends with 0 if there is nothing but what stays on purpose. Looks only.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from botocore.exceptions import BotoCoreError, ClientError

from operate.evidence import STATE_MACHINE, is_absent, said
from operate.keys import Keys
from operate.prices import HOURS_PER_MONTH, training_usd_per_hour
from operate.stage import OperatorError, Stage, add_stage_arguments, chosen_stage
from stacks.config import TRAINING_JOBS_LOG_GROUP, StackPart

S3_USD_PER_GB_MONTH = 0.023
LOGS_USD_PER_GB_MONTH = 0.03
"""List prices of us-east-1 for what is stored, as of 2026."""
GB = 1_000_000_000
FREE = "free"
RUNNING_JOB = ("InProgress", "Stopping")


@dataclass(frozen=True)
class Leftover:
    """Something that exists."""

    name: str
    why: str
    costs: str
    is_meant: bool = False
    """It stays on purpose."""


@dataclass(frozen=True)
class Remains:
    """What was found, and what could not be looked at."""

    found: tuple[Leftover, ...]
    unchecked: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Not if what costs most was not seen."""
        return all(each.is_meant for each in self.found) and not any(
            each.startswith(_COSTLY) for each in self.unchecked
        )


_COSTLY = ("stacks", "endpoint", "buckets", "training jobs")


def look(stage: Stage) -> Remains:
    """Everything of the stage that is left. What AWS refuses to show is noted."""
    found: list[Leftover] = []
    unchecked = []
    for what, finder in (
        ("stacks", _stacks),
        ("executions", _executions),
        ("endpoint", _endpoint),
        ("the model's function", _function),
        ("models and endpoint configurations", _models),
        ("training jobs", _training_jobs),
        ("buckets", _buckets),
        ("keys of callers", _keys),
        ("log groups", _log_groups),
        ("roles", _roles),
    ):
        try:
            found += finder(stage)
        except (ClientError, BotoCoreError) as error:
            unchecked.append(f"{what}: {said(error)}")
    return Remains((*found, SHARED), tuple(unchecked))


SHARED = Leftover(
    "CDKToolkit, with images and assets of all CDK apps",
    "shared by the account's apps; `npx cdk gc --unstable=gc` removes what no stack uses",
    f"{S3_USD_PER_GB_MONTH} USD per GB in its bucket, 0.10 USD per GB in its image repository",
    is_meant=True,
)


def _stacks(stage: Stage) -> Iterator[Leftover]:
    for part in get_args(StackPart):
        if stack := stage.stack(part):
            yield Leftover(f"stack {stack['StackName']}", f"it is in {stack['StackStatus']}", "what its resources cost")


def _executions(stage: Stage) -> Iterator[Leftover]:
    for arn in machines(stage):
        for execution in running_executions(stage, arn):
            yield Leftover(f"execution {execution.rpartition(':')[2]}", "it is running", "what it starts")


def machines(stage: Stage) -> list[str]:
    """The ARNs of the stage's state machines, as far as their stacks exist."""
    return [arn for part in get_args(StackPart) for arn in stage.physical_ids(part, STATE_MACHINE).values()]


def running_executions(stage: Stage, machine: str) -> list[str]:
    """Their ARNs."""
    pages = stage.connect("stepfunctions").get_paginator("list_executions")
    try:
        found = pages.paginate(stateMachineArn=machine, statusFilter="RUNNING")
        return [execution["executionArn"] for page in found for execution in page["executions"]]
    except ClientError as error:
        if is_absent(error):  # or deleted by hand, or by the stack a moment ago
            return []
        raise


def _endpoint(stage: Stage) -> Iterator[Leftover]:
    sagemaker, name = stage.connect("sagemaker"), stage.config.name
    try:
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if is_absent(error):
            return
        raise
    # Also of a stage that has none any more: this one may be left of before.
    usd_per_hour = stage.config.model_copy(update={"serving": "endpoint"}).endpoint_usd_per_hour
    costs = f"about {usd_per_hour * HOURS_PER_MONTH:.0f} USD" if usd_per_hour else "its instances, busy or idle"
    remedy = _remedy(stage, "Serving", f"aws sagemaker delete-endpoint --endpoint-name {name}")
    yield Leftover(f"endpoint {name}", f"it is {endpoint['EndpointStatus']}, and {remedy}", costs)


def _function(stage: Stage) -> Iterator[Leftover]:
    name = stage.config.name
    try:
        stage.connect("lambda").get_function_configuration(FunctionName=name)
    except ClientError as error:
        if is_absent(error):
            return
        raise
    remedy = _remedy(stage, "Serving", f"aws lambda delete-function --function-name {name}")
    yield Leftover(f"function {name}", remedy, "nothing while nobody asks")


def _remedy(stage: Stage, part: StackPart, by_hand: str) -> str:
    """How something goes: with its stack, while that is there."""
    if stage.stack(part):
        return f"its stack is there: make destroy STAGE={stage.config.stage}"
    return f"no stack deletes it: {by_hand}"


def _models(stage: Stage) -> Iterator[Leftover]:
    """By their tags: CloudFormation gives them names that don't say whose they are."""
    wanted = [{"Key": key, "Values": [value]} for key, value in stage.config.tags.items()]
    pages = stage.connect("resourcegroupstaggingapi").get_paginator("get_resources")
    kinds = ["sagemaker:model", "sagemaker:endpoint-config"]
    for page in pages.paginate(TagFilters=wanted, ResourceTypeFilters=kinds):
        for resource in page["ResourceTagMappingList"]:
            kind, _, name = resource["ResourceARN"].rpartition(":")[2].partition("/")
            if _exists(stage, kind, name):
                remedy = _remedy(stage, "Serving", f"aws sagemaker delete-{kind} --{kind}-name {name}")
                yield Leftover(f"{kind} {name}", remedy, FREE)


def _exists(stage: Stage, kind: str, name: str) -> bool:
    """The tagging API goes on naming what was deleted for a while."""
    sagemaker = stage.connect("sagemaker")
    try:
        if kind == "model":
            sagemaker.describe_model(ModelName=name)
        else:
            sagemaker.describe_endpoint_config(EndpointConfigName=name)
    except ClientError as error:
        if is_absent(error):
            return False
        raise
    return True


def training_jobs(stage: Stage, *statuses: str) -> list[str]:
    """The names of the stage's jobs that are in one of `statuses`, of all if none is given."""
    prefix = f"{stage.config.name}-"
    pages = stage.connect("sagemaker").get_paginator("list_training_jobs")
    asked = [{"StatusEquals": status} for status in statuses] or [{}]
    return [
        job["TrainingJobName"]
        for wanted in asked
        for page in pages.paginate(NameContains=prefix, **wanted, PaginationConfig={"PageSize": 100})
        for job in page["TrainingJobSummaries"]
        if job["TrainingJobName"].startswith(prefix)
    ]


def _training_jobs(stage: Stage) -> Iterator[Leftover]:
    running = training_jobs(stage, *RUNNING_JOB)
    usd_per_hour = training_usd_per_hour(stage.config)
    costs = f"about {usd_per_hour:.2f} USD an hour" if usd_per_hour else "its instances"
    for name in running:
        remedy = f"aws sagemaker stop-training-job --training-job-name {name}"
        yield Leftover(f"training job {name}", f"it is running: {remedy}", costs)
    if over := set(training_jobs(stage)) - set(running):
        why = "SageMaker keeps what it knows of jobs that are over, with metrics and hyperparameters"
        yield Leftover(f"records of {len(over)} training job(s), {stage.config.name}-…", why, FREE, is_meant=True)


def _keys(stage: Stage) -> Iterator[Leftover]:
    keys = Keys(stage)
    for name in sorted({*keys.plans(), *(key.name for key in keys.all())}):
        revoke = f"make key STAGE={stage.config.stage} DO=revoke NAME={name}"
        yield Leftover(f"key {name} with its usage plan", f"no stack deletes it: {revoke}", FREE)


def _buckets(stage: Stage) -> Iterator[Leftover]:
    prefix = f"{stage.config.stack_name('Data').lower()}-"
    adopted = [name for name in (stage.config.data_bucket, stage.config.artifacts_bucket) if name]
    s3 = stage.connect("s3")
    pages, region = s3.get_paginator("list_buckets"), s3.meta.region_name  # else also those of the stage elsewhere
    found = (page for each in (prefix, *adopted) for page in pages.paginate(Prefix=each, BucketRegion=region))
    for name in sorted({bucket["Name"] for page in found for bucket in page.get("Buckets", [])}):
        if name in adopted:
            why = "the stage adopts it, and no destroy removes it"
        elif not name.startswith(prefix):
            continue
        elif stage.config.retain_data:
            why = "retain_data keeps it"
        else:
            why = _remedy(stage, "Data", f"empty it, then aws s3 rb s3://{name}")
        is_meant = name in adopted or stage.config.retain_data
        yield Leftover(f"bucket {name}", why, _bucket_costs(stage, name), is_meant=is_meant)


def _bucket_costs(stage: Stage, bucket: str) -> str:
    """By the size that CloudWatch shows once a day."""
    now = datetime.now(UTC)
    rate = f"{S3_USD_PER_GB_MONTH} USD per GB"
    try:
        measured = stage.connect("cloudwatch").get_metric_statistics(
            Namespace="AWS/S3",
            MetricName="BucketSizeBytes",
            Dimensions=[{"Name": "BucketName", "Value": bucket}, {"Name": "StorageType", "Value": "StandardStorage"}],
            StartTime=now - timedelta(days=3),
            EndTime=now,
            Period=86_400,
            Statistics=["Maximum"],
        )["Datapoints"]
    except (ClientError, BotoCoreError):
        return rate
    if not measured:
        return rate
    gb = max(measured, key=lambda each: each["Timestamp"])["Maximum"] / GB
    return f"{gb:.1f} GB: about {gb * S3_USD_PER_GB_MONTH:.2f} USD"


def log_groups(stage: Stage, api_ids: Iterable[str] = ()) -> list[dict[str, Any]]:
    """CloudWatch's description of every log group of the stage, and of no other.

    API Gateway names its own after the API: `api_ids`, which are known while the stack exists.
    """
    parts = [stage.config.stack_name(part) for part in get_args(StackPart)]
    # Behind each name what may follow it: stage dev2's begin like dev's.
    names = {f"{root}{part}": "[-/]" for root in ("", "/aws/lambda/", "/aws/vendedlogs/states/") for part in parts}
    names |= {stage.config.endpoint_log_group: "$"}
    names |= {f"API-Gateway-Execution-Logs_{api_id}": "/" for api_id in api_ids}
    pages = stage.connect("logs").get_paginator("describe_log_groups")
    return [
        group
        for name, following in names.items()
        for page in pages.paginate(logGroupNamePrefix=name)
        for group in page["logGroups"]
        if re.match(following, group["logGroupName"].removeprefix(name))
    ]


def _log_groups(stage: Stage) -> Iterator[Leftover]:
    # A late line makes the endpoint's anew after it was deleted.
    why = f"not part of a stack, or made anew by a late line: make destroy STAGE={stage.config.stage}"
    for group in log_groups(stage, api_ids(stage)):
        usd = group.get("storedBytes", 0) / GB * LOGS_USD_PER_GB_MONTH
        yield Leftover(f"log group {group['logGroupName']}", why, f"{usd:.2f} USD")
    pages = stage.connect("logs").get_paginator("describe_log_streams")
    try:
        of_jobs = pages.paginate(logGroupName=TRAINING_JOBS_LOG_GROUP, logStreamNamePrefix=f"{stage.config.name}-")
        count = sum(len(page["logStreams"]) for page in of_jobs)
    except ClientError as error:
        if not is_absent(error):
            raise
        count = 0
    if count:
        why = (
            "SageMaker's one group for all training jobs of the account, which keeps lines until somebody sets its "
            f"retention: aws logs put-retention-policy --log-group-name {TRAINING_JOBS_LOG_GROUP}"
        )
        costs = f"{LOGS_USD_PER_GB_MONTH} USD per GB"
        name = f"{count} stream(s) {stage.config.name}-… in {TRAINING_JOBS_LOG_GROUP}"
        yield Leftover(name, why, costs, is_meant=True)


def api_ids(stage: Stage) -> list[str]:
    """The ids of the stage's REST API, while its stack exists."""
    return list(stage.physical_ids("Api", "AWS::ApiGateway::RestApi").values())


def _roles(stage: Stage) -> Iterator[Leftover]:
    pages = stage.connect("iam").get_paginator("list_roles").paginate()
    names = [role["RoleName"] for page in pages for role in page["Roles"]]
    for part in get_args(StackPart):
        own = [name for name in names if name.startswith(f"{stage.config.stack_name(part)}-")]
        # Roles are the whole account's, and the stage may be deployed in another region, too.
        by_hand = "unless the stage is deployed in another region, delete it under IAM → Roles"
        remedy = _remedy(stage, part, by_hand) if own else ""
        for name in own:
            of_api_gateway = "CloudWatchRole" in name
            why = (
                "API Gateway writes logs with one role for all APIs of the region, and it may be this one: "
                "aws apigateway get-account"
            )
            yield Leftover(f"role {name}", why if of_api_gateway else remedy, FREE, is_meant=of_api_gateway)


def written(stage: Stage, remains: Remains) -> str:
    """What `main` prints: what should not be there first."""
    lines = []
    for meant, title in ((False, "Left, and not meant to be"), (True, "Left on purpose")):
        those = [each for each in remains.found if each.is_meant == meant]
        if those:
            lines += [f"{title}:", *(f"  {each.name}\n      {each.why}. Costs: {each.costs}" for each in those)]
    lines += [f"could not be checked: {each}" for each in remains.unchecked]
    seen = "as far as could be checked, " if remains.unchecked else ""
    verdict = "nothing else is left" if remains.is_clean else "it is not clean"
    return "\n".join([*lines, f"{stage.config.stage}: {seen}{verdict}. Prices are a month's, in us-east-1."])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m operate.verify_clean", description="What of a stage is left, why, and what it costs."
    )
    add_stage_arguments(parser)
    try:
        stage = chosen_stage(parser.parse_args())
    except OperatorError as error:
        sys.exit(str(error))
    remains = look(stage)
    print(written(stage, remains))
    sys.exit(0 if remains.is_clean else 1)


if __name__ == "__main__":
    main()
