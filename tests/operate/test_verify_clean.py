import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from operate.stage import Stage
from operate.verify_clean import SHARED, Leftover, log_groups, look, main, written
from stacks.config import StageConfig
from tests.operate.account import BATCHES, CONFIG, Account, Refused

TRUST = {"Version": "2012-10-17", "Statement": []}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    for name, value in {
        "ACCESS_KEY_ID": "testing",
        "SECRET_ACCESS_KEY": "testing",
        "DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        yield Stage(StageConfig(stage="dev"), boto3.client)


def left(stage: Stage) -> dict[str, Leftover]:
    remains = look(stage)
    assert remains.unchecked == ()
    return {each.name: each for each in remains.found if each is not SHARED}


def test_an_account_without_the_stage_is_clean_and_the_shared_toolkit_is_named(stage: Stage) -> None:
    remains = look(stage)
    assert (remains.is_clean, remains.found, remains.unchecked) == (True, (SHARED,), ())
    assert "dev: nothing else is left" in written(stage, remains)
    assert "CDKToolkit" in written(stage, remains)


def test_a_stack_is_not_clean(stage: Stage) -> None:
    template = json.dumps({"Resources": {"Any": {"Type": "AWS::S3::Bucket"}}})
    boto3.client("cloudformation").create_stack(StackName="WordsightServing-dev", TemplateBody=template)
    assert left(stage)["stack WordsightServing-dev"].why == "it is in CREATE_COMPLETE"
    assert not look(stage).is_clean


def test_a_callers_key_is_left_by_every_stack_and_named_with_the_command_that_revokes_it(stage: Stage) -> None:
    tags = {"application": "wordsight", "stage": "dev", "key": "phone", "kind": "ask"}
    client = boto3.client("apigateway")
    client.create_api_key(name="wordsight-dev-phone", value="ask-" + "0" * 40, tags=tags)
    client.create_usage_plan(name="wordsight-dev-phone", tags=tags)
    client.create_usage_plan(name="wordsight-prod-phone", tags={**tags, "stage": "prod"})
    client.create_api_key(name="own", tags={"application": "wordsight", "stage": "dev"})
    (key,) = left(stage).values()
    assert (key.name, key.is_meant) == ("key phone with its usage plan", False)
    assert key.why.endswith("make key STAGE=dev DO=revoke NAME=phone")
    assert not look(stage).is_clean


def test_a_bucket_is_meant_only_where_the_stage_keeps_its_data_and_its_size_says_what_it_costs(stage: Stage) -> None:
    name = "wordsightdata-dev-data7e2128ca-1a2b"
    for bucket in (name, "wordsightdata-dev2-data7e2128ca-1a2b"):
        boto3.client("s3").create_bucket(Bucket=bucket)
    assert [(each.name, each.is_meant) for each in left(stage).values()] == [(f"bucket {name}", False)]
    dimensions = [{"Name": "BucketName", "Value": name}, {"Name": "StorageType", "Value": "StandardStorage"}]
    yesterday = datetime.now(UTC) - timedelta(days=1)
    size = {"MetricName": "BucketSizeBytes", "Dimensions": dimensions, "Value": 100e9, "Timestamp": yesterday}
    boto3.client("cloudwatch").put_metric_data(Namespace="AWS/S3", MetricData=[size])
    keeping = Stage(StageConfig(stage="dev", retain_data=True), boto3.client)
    (bucket,) = left(keeping).values()
    assert (bucket.is_meant, bucket.costs) == (True, "100.0 GB: about 2.30 USD")
    assert look(keeping).is_clean and not look(stage).is_clean


def test_a_bucket_that_the_stage_adopts_is_meant_whatever_its_name(stage: Stage) -> None:
    for name in ("wordsightdata-dev-data7e2128ca-1a2b", "somebodys-models", "somebodys-models-too"):
        boto3.client("s3").create_bucket(Bucket=name)
    knobs = {"data_bucket": "wordsightdata-dev-data7e2128ca-1a2b", "artifacts_bucket": "somebodys-models"}
    adopting = Stage(StageConfig(stage="dev", **knobs), boto3.client)
    why = "the stage adopts it, and no destroy removes it"
    assert {(each.name, each.why, each.is_meant) for each in left(adopting).values()} == {
        (f"bucket {name}", why, True) for name in knobs.values()
    }


def test_the_role_that_api_gateway_may_log_with_stays_and_no_other(stage: Stage) -> None:
    iam = boto3.client("iam")
    for name in ("WordsightApi-dev-ApiCloudWatchRole73-1a", "WordsightApi-dev-Role-1a", "WordsightApi-dev2-Role-1a"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    meant = {each.name: each.is_meant for each in left(stage).values()}
    assert meant == {"role WordsightApi-dev-ApiCloudWatchRole73-1a": True, "role WordsightApi-dev-Role-1a": False}


def test_streams_of_training_jobs_stay_in_the_group_that_all_share(stage: Stage) -> None:
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
    for name in ("wordsight-dev-a/algo-1", "wordsight-dev-b/algo-1", "wordsight-dev2-a/algo-1"):
        logs.create_log_stream(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=name)
    assert [(each.name, each.is_meant) for each in left(stage).values()] == [
        ("2 stream(s) wordsight-dev-… in /aws/sagemaker/TrainingJobs", True)
    ]


def test_a_log_group_that_came_late_is_named_with_its_remedy(stage: Stage) -> None:
    for name in ("wordsight-dev", "wordsight-dev2"):
        boto3.client("logs").create_log_group(logGroupName=f"/aws/sagemaker/Endpoints/{name}")
    (group,) = left(stage).values()
    assert group.name == "log group /aws/sagemaker/Endpoints/wordsight-dev"
    assert "make destroy STAGE=dev" in group.why
    assert [each["logGroupName"] for each in log_groups(stage)] == ["/aws/sagemaker/Endpoints/wordsight-dev"]


class Empty(Account):
    """An account from which the stage's stacks are gone, and that has some of what else may be left."""

    tagged: list[str]
    existing: list[str]

    def get_resources(self, asked: Any) -> Any:
        assert asked["TagFilters"] == [
            {"Key": "application", "Values": ["wordsight"]},
            {"Key": "stage", "Values": ["dev"]},
        ]
        arn = "arn:aws:sagemaker:eu-west-1:123456789012:"
        return {"ResourceTagMappingList": [{"ResourceARN": f"{arn}{each}"} for each in self.tagged]}

    def describe_model(self, asked: Any) -> Any:
        if asked["ModelName"] not in self.existing:
            raise Refused("ValidationException", f'Could not find model "{asked["ModelName"]}".')
        return {"ModelName": asked["ModelName"], "CreationTime": 0, "ModelArn": "arn:aws:sagemaker:eu-west-1:1:model/m"}

    def describe_log_groups(self, asked: Any) -> Any:
        return {"logGroups": []}


@pytest.fixture
def empty() -> Empty:
    account = Empty()
    account.tagged, account.existing = [], []
    account.status.clear()
    account.endpoint = None
    return account


def test_an_endpoint_that_is_left_is_named_with_its_price(empty: Empty) -> None:
    empty.endpoint = {"EndpointStatus": "InService", "EndpointConfigName": CONFIG}
    (endpoint,) = left(empty.stage()).values()
    assert (endpoint.name, endpoint.costs) == ("endpoint wordsight-dev", "about 156 USD")
    assert "aws sagemaker delete-endpoint --endpoint-name wordsight-dev" in endpoint.why


def test_a_function_that_is_left_is_named_whatever_the_stage_would_have_now(empty: Empty) -> None:
    empty.function = {"State": "Active"}
    for serving in ("lambda", "endpoint"):
        (function,) = left(empty.stage(serving=serving)).values()
        assert (function.name, function.costs) == ("function wordsight-dev", "nothing while nobody asks")
        assert "aws lambda delete-function --function-name wordsight-dev" in function.why
    empty.endpoint = {"EndpointStatus": "InService", "EndpointConfigName": CONFIG}
    assert left(empty.stage(serving="lambda"))["endpoint wordsight-dev"].costs == "about 156 USD"


def test_what_a_stack_still_holds_goes_with_it_and_not_by_hand(empty: Empty) -> None:
    empty.endpoint = {"EndpointStatus": "InService", "EndpointConfigName": CONFIG}
    empty.tagged, empty.existing, empty.status["Serving"] = ["model/m"], ["m"], "CREATE_COMPLETE"
    found = left(empty.stage())
    whys = [found[name].why for name in ("endpoint wordsight-dev", "model m")]
    assert all("its stack is there: make destroy STAGE=dev" in why and "aws sagemaker" not in why for why in whys)


def test_models_are_found_by_their_tags_if_they_still_exist(empty: Empty) -> None:
    empty.tagged, empty.existing = ["model/kept", "model/deleted-a-minute-ago"], ["kept"]
    assert list(left(empty.stage())) == ["model kept"]


def test_a_training_job_that_runs_is_not_meant_and_the_records_of_others_are(empty: Empty) -> None:
    empty.jobs = [
        ("wordsight-dev-c", "InProgress", ""),
        ("wordsight-dev-b", "Completed", ""),
        ("wordsight-dev2-a", "", ""),
    ]
    meant = {each.name: each.is_meant for each in left(empty.stage()).values()}
    assert meant == {"training job wordsight-dev-c": False, "records of 1 training job(s), wordsight-dev-…": True}


def test_an_execution_that_runs_is_not_clean(empty: Empty) -> None:
    empty.status["Api"] = "DELETE_FAILED"
    empty.executions[BATCHES] = [("batch-1", "RUNNING", "", "")]
    assert list(left(empty.stage())) == ["stack WordsightApi-dev", "execution batch-1"]


def test_what_cannot_be_checked_is_said_and_counts_if_it_is_what_costs(empty: Empty) -> None:
    empty.refusals["list_roles"] = Refused("AccessDeniedException", "no")
    remains = look(empty.stage())
    assert remains.is_clean
    assert "could not be checked: roles: AccessDeniedException: no" in written(empty.stage(), remains)
    assert "as far as could be checked, nothing else is left" in written(empty.stage(), remains)
    empty.refusals["describe_endpoint"] = Refused("AccessDeniedException", "no")
    assert not look(empty.stage()).is_clean


def test_the_command_ends_with_zero_only_if_it_is_clean(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["verify_clean", "dev"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, "nothing else is left" in capsys.readouterr().out) == (0, True)
    boto3.client("logs").create_log_group(logGroupName="/aws/sagemaker/Endpoints/wordsight-dev")
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, "it is not clean" in capsys.readouterr().out) == (1, True)
