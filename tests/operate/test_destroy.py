import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from operate.destroy import (
    buckets_that_go,
    destroy,
    empty,
    main,
    may_go_on,
    stop_what_runs,
    wait_for_changes,
)
from operate.stage import OperatorError, Stage
from stacks.config import StageConfig
from tests.operate.account import BATCHES, Account, Refused

pytestmark = pytest.mark.slow

REGION = "us-east-1"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"ACCESS_KEY_ID": "testing", "SECRET_ACCESS_KEY": "testing", "DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        yield


@pytest.fixture
def stage(aws: None) -> Stage:
    return Stage(StageConfig(stage="dev"), boto3.client)


def deploy(part: str, resources: dict[str, Any], stage: str = "dev") -> str:
    name = f"Wordsight{part}-{stage}"
    boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    return name


def deploy_data(policy: str = "Delete") -> list[str]:
    """Two buckets, one of them versioned, which CloudFormation deletes or keeps. Their names."""
    bucket = {"Type": "AWS::S3::Bucket", "DeletionPolicy": policy}
    name = deploy("Data", {"Data": bucket, "Artifacts": bucket})
    resources = boto3.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    names = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
    boto3.client("s3").put_bucket_versioning(Bucket=names["Data"], VersioningConfiguration={"Status": "Enabled"})
    return [names["Data"], names["Artifacts"]]


def deploy_machine() -> str:
    """A state machine that is running one execution. Its ARN."""
    definition = json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 9999, "End": True}}})
    role = f"arn:aws:iam::123456789012:role/{'r' * 20}"
    properties = {"DefinitionString": definition, "RoleArn": role}
    name = deploy("Training", {"StateMachine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}})
    (resource,) = boto3.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    boto3.client("stepfunctions").start_execution(stateMachineArn=resource["PhysicalResourceId"], name="first")
    return str(resource["PhysicalResourceId"])


class Cdk:
    """Deletes the stacks of the stage, as the CLI does, and remembers how it was called."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[str]) -> int:
        self.commands.append(list(command))
        if self.status == 0:
            cloudformation = boto3.client("cloudformation")
            for stack in cloudformation.describe_stacks()["Stacks"]:
                if stack["StackName"].endswith("-dev"):
                    cloudformation.delete_stack(StackName=stack["StackName"])
        return self.status


def versions(bucket: str) -> int:
    found = boto3.client("s3").list_object_versions(Bucket=bucket)
    return len(found.get("Versions", [])) + len(found.get("DeleteMarkers", []))


def test_what_runs_is_stopped_what_is_stored_goes_and_nothing_is_left(stage: Stage) -> None:
    data, artifacts = deploy_data()
    machine = deploy_machine()
    s3 = boto3.client("s3")
    for number in range(2):
        s3.put_object(Bucket=data, Key="tasks/a", Body=str(number).encode())
    s3.delete_object(Bucket=data, Key="tasks/a")
    s3.put_object(Bucket=artifacts, Key="models/a", Body=b"a")
    assert versions(data) == 3
    told: list[str] = []
    cdk = Cdk()
    states: list[str] = []

    def delete(command: Sequence[str]) -> int:
        states.extend(
            each["status"]
            for each in boto3.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
        )
        assert (versions(data), versions(artifacts)) == (0, 0)
        return cdk(command)

    remains = destroy(stage, tell=told.append, sleep=lambda s: None, cdk=delete)
    assert states == ["ABORTED"]
    assert told[:1] == ["stopping execution first"]
    assert f"emptied {data}: 3 versions" in told
    assert remains.is_clean, remains


def test_keys_of_callers_are_revoked_before_the_stacks_are_deleted(stage: Stage) -> None:
    tags = {"application": "wordsight", "stage": "dev", "key": "phone", "kind": "ask"}
    client = boto3.client("apigateway")
    client.create_api_key(name="wordsight-dev-phone", value="ask-" + "0" * 40, tags=tags)
    client.create_usage_plan(name="wordsight-dev-phone", tags=tags)
    others = client.create_api_key(name="wordsight-prod-phone", tags={**tags, "stage": "prod"})
    deploy_data()
    cdk, told = Cdk(), list[str]()

    def delete(command: Sequence[str]) -> int:
        assert [key["id"] for key in client.get_api_keys()["items"]] == [others["id"]]
        assert client.get_usage_plans()["items"] == []
        return cdk(command)

    destroy(stage, tell=told.append, sleep=lambda s: None, cdk=delete)
    assert "revoked key phone" in told and len(cdk.commands) == 1


def test_buckets_that_cloudformation_keeps_are_not_touched(stage: Stage) -> None:
    data, artifacts = deploy_data("Retain")
    boto3.client("s3").put_object(Bucket=data, Key="tasks/a", Body=b"a")
    assert buckets_that_go(stage) == []
    destroy(stage, tell=lambda line: None, sleep=lambda s: None, cdk=Cdk())
    assert (versions(data), versions(artifacts)) == (1, 0)


def test_a_thousand_keys_go_at_a_time_and_it_is_told_how_far_it_is(stage: Stage) -> None:
    asked: list[int] = []

    class S3:
        """25,001 versions, which are too many to make here."""

        def get_paginator(self, name: str) -> Any:
            assert name == "list_object_versions"
            return self

        def paginate(self, Bucket: str, MaxKeys: int) -> Iterator[Any]:
            for start in range(0, 25_001, MaxKeys):
                yield {
                    "Versions": [{"Key": str(n), "VersionId": "v"} for n in range(start, min(start + MaxKeys, 25_001))]
                }

        def delete_objects(self, Bucket: str, Delete: Any) -> Any:
            asked.append(len(Delete["Objects"]))
            return {}

    told: list[str] = []
    empty(Stage(stage.config, lambda service: S3()), "bucket", told.append)
    assert asked == [1000] * 25 + [1]
    assert told == [
        "  10,000 versions of bucket are deleted",
        "  20,000 versions of bucket are deleted",
        "emptied bucket: 25,001 versions",
    ]


def test_an_object_that_cannot_be_deleted_is_named_with_its_cause_and_the_others_go(stage: Stage) -> None:
    told, deleted = list[str](), list[str]()
    code = "AccessDenied"

    class S3:
        def get_paginator(self, name: str) -> Any:
            return self

        def paginate(self, **asked: Any) -> Any:
            return [{"Versions": [{"Key": key, "VersionId": "v"}]} for key in ("locked", "other")]

        def delete_objects(self, Delete: Any, **asked: Any) -> Any:
            (version,) = Delete["Objects"]
            if version["Key"] == "locked":
                return {"Errors": [{"Key": "locked", "Code": code, "Message": "no"}]}
            deleted.append(version["Key"])
            return {}

    empty(Stage(stage.config, lambda service: S3()), "bucket", told.append)
    code = "InternalError"
    empty(Stage(stage.config, lambda service: S3()), "bucket", told.append)
    assert deleted == ["other", "other"]
    denied, failed = told
    assert denied.startswith("1 version(s) in bucket could not be deleted, such as locked: AccessDenied: no. ")
    assert "object lock" in denied and "the bucket's policy" in denied and "make destroy STAGE=dev" in denied
    assert "InternalError: no. " in failed and "object lock" not in failed and "make destroy STAGE=dev" in failed


def test_a_bucket_that_is_gone_is_empty(stage: Stage) -> None:
    empty(stage, "gone", print)


def test_a_protected_stack_is_named_with_how_to_lift_it_and_nothing_is_touched(stage: Stage) -> None:
    data, _ = deploy_data()
    boto3.client("s3").put_object(Bucket=data, Key="tasks/a", Body=b"a")
    cdk = Cdk()
    protected = Protected(stage)
    with pytest.raises(OperatorError, match="--no-enable-termination-protection --stack-name WordsightData-dev"):
        destroy(protected, tell=print, sleep=lambda s: None, cdk=cdk)
    assert (cdk.commands, versions(data)) == ([], 1)


class Protected(Stage):
    """moto forgets that a stack is protected."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.config, stage.connect)

    def stack(self, part: Any) -> dict[str, Any] | None:
        found = super().stack(part)
        return found and {**found, "EnableTerminationProtection": True}


GROUPS = (
    "/aws/lambda/WordsightData-dev-CustomS3AutoDeleteObjects-1a2b",
    "/aws/lambda/WordsightServing-dev-LogRetention-1a2b",
    "/aws/sagemaker/Endpoints/wordsight-dev",
    "/aws/vendedlogs/states/WordsightTraining-dev/StateMachine",
    "WordsightApi-dev-ClassifyFunctionLogs-1a2b",
)
OTHERS = (
    "/aws/lambda/WordsightData-dev2-CustomS3AutoDeleteObjects-1a2b",
    "/aws/sagemaker/Endpoints/wordsight-dev2",
    "/aws/sagemaker/Endpoints/wordsight-dev-of-somebody",
    "/aws/sagemaker/TrainingJobs",
    "/aws/vendedlogs/states/WordsightTraining-dev2/StateMachine",
    "/aws/vendedlogs/states/somebody",
    "API-Gateway-Execution-Logs_other/v1",
    "WordsightApi-dev2-ClassifyFunctionLogs-1a2b",
)


def test_log_groups_of_the_stage_are_swept_and_no_others(stage: Stage) -> None:
    deploy("Api", {"Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "wordsight-dev"}}})
    (api,) = boto3.client("apigateway").get_rest_apis()["items"]
    logs = boto3.client("logs")
    for name in (*GROUPS, *OTHERS, f"API-Gateway-Execution-Logs_{api['id']}/v1"):
        logs.create_log_group(logGroupName=name)
    told: list[str] = []
    remains = destroy(stage, tell=told.append, sleep=lambda s: None, cdk=Cdk())
    left = {group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]}
    assert left == set(OTHERS)
    assert f"deleted log group API-Gateway-Execution-Logs_{api['id']}/v1" in told
    assert remains.is_clean, remains


def test_a_stage_that_is_gone_is_swept_without_cdk(stage: Stage) -> None:
    boto3.client("logs").create_log_group(logGroupName=GROUPS[0])
    cdk = Cdk()
    assert destroy(stage, tell=print, sleep=lambda s: None, cdk=cdk).is_clean
    assert cdk.commands == []
    assert boto3.client("logs").describe_log_groups()["logGroups"] == []


def test_when_cdk_fails_the_logs_stay_to_be_read(stage: Stage) -> None:
    deploy_data()
    boto3.client("logs").create_log_group(logGroupName=GROUPS[0])
    with pytest.raises(OperatorError, match=r"cdk destroy failed.*make doctor STAGE=dev"):
        destroy(stage, tell=print, sleep=lambda s: None, cdk=Cdk(status=1))
    assert len(boto3.client("logs").describe_log_groups()["logGroups"]) == 1


class Running(Account):
    """An account whose training job runs until it was stopped for a while, and whose executions end when stopped."""

    stopped: list[str]
    ends_after_looks = 3

    def stop_execution(self, asked: Any) -> Any:
        arn, _, name = asked["executionArn"].rpartition(":")
        self.executions[arn] = [each for each in self.executions[arn] if each[0] != name]
        self.stopped.append(name)
        return {"stopDate": 0}

    def stop_training_job(self, asked: Any) -> Any:
        self.stopped.append(asked["TrainingJobName"])
        return {}

    def list_training_jobs(self, asked: Any) -> Any:
        if self.stopped and asked.get("StatusEquals") == "InProgress":
            self.ends_after_looks -= 1
        if self.ends_after_looks == 0:
            self.jobs = [(name, "Stopped", reason) for name, _, reason in self.jobs]
        return super().list_training_jobs(asked)

    def describe_log_groups(self, _: Any) -> Any:
        return {"logGroups": []}

    def get_resources(self, _: Any) -> Any:
        return {"ResourceTagMappingList": []}


def running() -> Running:
    account = Running()
    account.stopped = []
    account.jobs = [("wordsight-dev-a", "InProgress", ""), ("my-wordsight-dev-b", "InProgress", "")]
    return account


def test_a_training_job_is_stopped_and_waited_for_and_no_other() -> None:
    account, slept = running(), []
    stop_what_runs(account.stage(), lambda line: None, slept.append, set())
    assert account.stopped == ["wordsight-dev-a"]
    assert len(slept) >= 2


def test_a_training_job_that_does_not_end_is_named_after_a_while() -> None:
    account = running()
    account.ends_after_looks = 10**6
    with pytest.raises(OperatorError, match="after 15 minutes these still run: wordsight-dev-a"):
        stop_what_runs(account.stage(), lambda line: None, lambda s: None, set())


def test_what_begins_meanwhile_is_stopped_too() -> None:
    account = running()
    account.executions[BATCHES] = [("first", "RUNNING", "", "")]

    def sleep(seconds: float) -> None:
        if "second" not in account.stopped:
            account.executions[BATCHES] = [("second", "RUNNING", "", "")]

    stop_what_runs(account.stage(), lambda line: None, sleep, set())
    assert {"first", "second"} <= set(account.stopped)


def test_what_begins_while_changes_are_waited_for_is_stopped_and_what_it_changes_waited_for() -> None:
    account, told = running(), list[str]()
    account.jobs = []
    account.status = {"Serving": "UPDATE_IN_PROGRESS"}
    account.endpoint = None

    def sleep(seconds: float) -> None:
        if account.status["Serving"] == "UPDATE_IN_PROGRESS":
            account.status["Serving"] = "UPDATE_COMPLETE"
            account.jobs = [("wordsight-dev-late", "InProgress", "")]
        elif account.stopped:
            account.jobs = [("wordsight-dev-late", "Stopped", "")]
            account.status = {}  # deleted by another, so that nothing is left to do

    destroy(account.stage(), tell=told.append, sleep=sleep, cdk=pytest.fail)
    assert account.stopped == ["wordsight-dev-late"]
    assert told[:2] == [
        "waiting: WordsightServing-dev is UPDATE_IN_PROGRESS",
        "stopping training job wordsight-dev-late",
    ]


def test_without_the_right_to_list_jobs_it_is_said_and_the_rest_is_stopped() -> None:
    account, told = running(), []
    account.refusals["list_training_jobs"] = Refused("AccessDeniedException", "no")
    account.executions[BATCHES] = [("first", "RUNNING", "", "")]
    stop_what_runs(account.stage(), told.append, lambda s: None, set())
    assert account.stopped == ["first"]
    assert "could not be checked: training jobs that run: AccessDeniedException: no" in told


def test_an_endpoint_and_a_stack_that_are_updated_are_waited_for() -> None:
    account, told = Account(), []
    account.status["Serving"] = "UPDATE_IN_PROGRESS"
    account.endpoint = {"EndpointStatus": "Updating", "EndpointConfigName": "e"}

    def sleep(seconds: float) -> None:
        account.status["Serving"] = "UPDATE_COMPLETE"
        account.endpoint = {"EndpointStatus": "InService", "EndpointConfigName": "e"}

    wait_for_changes(account.stage(), told.append, sleep, set())
    assert told == ["waiting: WordsightServing-dev is UPDATE_IN_PROGRESS, wordsight-dev is Updating"]


@pytest.mark.parametrize(
    "status", ["ROLLBACK_COMPLETE", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"]
)
def test_a_stack_that_is_half_made_is_not_waited_for(status: str) -> None:
    account = Account()
    account.status["Serving"] = status
    account.endpoint = None
    wait_for_changes(account.stage(), pytest.fail, pytest.fail, set())


def test_an_update_that_does_not_end_is_named_after_a_while() -> None:
    account = Account()
    account.status["Serving"] = "UPDATE_IN_PROGRESS"
    with pytest.raises(OperatorError, match="after 60 minutes this still changes: WordsightServing-dev is UPDATE_IN"):
        wait_for_changes(account.stage(), lambda line: None, lambda s: None, set())


def test_a_person_types_the_stages_name_and_reads_what_goes(stage: Stage) -> None:
    deploy_data()
    asked: list[str] = []

    def ask(question: str, answer: str) -> str:
        asked.append(question)
        return answer

    assert may_go_on(stage, lambda question: ask(question, "dev\n"))
    assert not may_go_on(stage, lambda question: ask(question, "y"))
    assert "dev will be deleted, with all that is in" in asked[0]


def test_what_aws_refuses_is_told_and_the_rest_goes_on(stage: Stage) -> None:
    deploy_data()

    def connect(service: str) -> Any:
        client = boto3.client(service)
        if service in ("s3", "logs"):
            client.meta.events.register("before-parameter-build", refuse)
        return client

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Any")

    told: list[str] = []
    cdk = Cdk()
    remains = destroy(Stage(stage.config, connect), tell=told.append, sleep=lambda s: None, cdk=cdk)
    assert len(cdk.commands) == 1
    assert told[-1] == "log groups are not swept: AccessDenied: no"
    assert "is emptied by CloudFormation's function: AccessDenied: no" in told[-2]
    assert not remains.is_clean


def test_where_nobody_can_be_asked_nothing_is_touched(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy_data()
    monkeypatch.setattr("sys.argv", ["destroy", "dev"])
    monkeypatch.setattr("sys.stdin", io.StringIO("dev\n"))
    with pytest.raises(SystemExit, match="give YES=1"):
        main()
    assert len(boto3.client("s3").list_buckets()["Buckets"]) == 2
