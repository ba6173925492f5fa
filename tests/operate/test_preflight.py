import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from operate.builder import DOCKER_MANIFEST, OCI_MANIFEST
from operate.findings import Finding
from operate.preflight import check, main, passes
from operate.stage import Stage
from stacks.config import StageConfig
from stacks.stage_files import stage_config
from tests.operate.accounts import GOOD, QUOTAS, REGION, Account, Answer, holds, paged, refusal
from tests.operate.builders import CONTAINERD, install, program
from tests.servers import Quiet, serving

PROD = stage_config("prod")
IMAGE = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/wordsight:1"
GIVEN = StageConfig(stage="dev", serve_image_uri=IMAGE, train_image_uri=IMAGE)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A machine with Node and a Docker whose images SageMaker takes."""
    return program(tmp_path, "node", "#!/bin/sh\necho v24.1.0\n") | install(tmp_path)


NOT_ALWAYS_ASKED = ("ecr.BatchGetImage", "ecr.GetDownloadUrlForLayer", "s3.HeadBucket")


def stage(config: StageConfig = PROD, region: str = REGION, **other: Answer) -> Stage:
    """In a good account, but for the answers that are given, by operation."""
    by_operation = {name.partition(".")[2]: name for name in [*GOOD, *NOT_ALWAYS_ASKED]}
    answers = {**GOOD, **{by_operation[operation]: answer for operation, answer in other.items()}}
    return Stage(config, Account(answers, region).connect)


BUCKETS = {"stage": "dev", "data_bucket": "kept-data", "artifacts_bucket": "kept-artifacts"}


def failures(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.level == "failure"]


def only_failure(stage: Stage, environ: dict[str, str]) -> Finding:
    (finding,) = failures(check(stage, environ))
    return finding


def warnings(stage: Stage, environ: dict[str, str]) -> list[Finding]:
    found = check(stage, environ)
    assert failures(found) == []
    return [finding for finding in found if finding.level == "warning"]


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_a_good_account_passes_and_the_stage_has_its_price(
    name: str, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert passes(stage(stage_config(name)), environ)
    told = capsys.readouterr().out
    assert "FAILURE" not in told and "warning" not in told
    assert "123456789012" in told and REGION in told and "USD per hour" in told


def test_a_quota_of_0_is_what_every_new_account_has(environ: dict[str, str]) -> None:
    none = paged({**QUOTAS, "ml.g4dn.xlarge for endpoint usage": 0})
    failure = only_failure(stage(ListServiceQuotas=none), environ)
    assert 'the quota "ml.g4dn.xlarge for endpoint usage" is 0 in this account, as in every new one' in failure.text
    assert re.fullmatch(
        r"aws service-quotas request-service-quota-increase --service-code sagemaker --quota-code L-[0-9A-F]{8} "
        rf"--desired-value 2 --region {REGION}",
        failure.remedy,
    )


def test_a_quota_of_1_is_too_few_for_an_update_and_enough_to_begin_with(environ: dict[str, str]) -> None:
    one = {"ListServiceQuotas": paged({**QUOTAS, "ml.g4dn.xlarge for endpoint usage": 1})}
    (warning,) = warnings(stage(**one), environ)
    deployed = holds(Serving=("AWS::SageMaker::Endpoint", "wordsight-prod"))
    failure = only_failure(stage(ListStackResources=deployed, **one), environ)
    assert '"ml.g4dn.xlarge for endpoint usage" is 1, and 2 are needed: an update runs the new' in failure.text
    assert "--desired-value 2" in failure.remedy
    assert (warning.text, warning.remedy) == (failure.text, failure.remedy)


def test_a_quota_that_was_never_changed_is_among_the_defaults(environ: dict[str, str]) -> None:
    defaults = {"ListServiceQuotas": paged({}), "ListAWSDefaultServiceQuotas": paged(QUOTAS)}
    assert failures(check(stage(**defaults), environ)) == []


def test_two_instances_need_four_and_autoscaling_more_at_full_load(environ: dict[str, str]) -> None:
    config = StageConfig(stage="dev", endpoint_instance_count=2, autoscaling=True, autoscaling_max_instances=5)
    (warning,) = warnings(stage(config), environ)
    assert "is 4, and 10 are needed at full load" in warning.text and "--desired-value 10" in warning.remedy


@pytest.mark.parametrize(("spot", "kind"), [(False, "training job"), (True, "spot training job")])
def test_a_quota_of_trainings_stops_trainings_only(environ: dict[str, str], spot: bool, kind: str) -> None:
    config = PROD.model_copy(update={"spot": spot})
    none = paged({**QUOTAS, f"ml.g4dn.xlarge for {kind} usage": 0})
    (warning,) = warnings(stage(config, ListServiceQuotas=none), environ)
    assert f'"ml.g4dn.xlarge for {kind} usage" is 0' in warning.text and "1 are needed to train" in warning.text
    assert "--desired-value 1" in warning.remedy


def test_a_wrong_region_offers_neither_the_instances_nor_the_layer(environ: dict[str, str]) -> None:
    elsewhere = {
        "ListServiceQuotas": paged({}),
        "GetLayerVersionByArn": refusal("ResourceNotFoundException", "The resource you requested does not exist."),
    }
    instances, layer = failures(check(stage(region="mx-central-1", **elsewhere), environ))
    assert instances.text == (
        'mx-central-1 has no quota "ml.g4dn.xlarge for endpoint usage", so SageMaker does not offer it there'
    )
    assert "another region" in instances.remedy and "endpoint_instance_type" in instances.remedy
    assert "arn:aws:lambda:mx-central-1:017000801446:layer:AWSLambdaPowertools" in layer.text
    assert layer.remedy == "another region: export AWS_REGION=…"


def test_a_layer_of_another_account_is_missing_as_one_that_nobody_may_see(environ: dict[str, str]) -> None:
    denied = "not authorized to perform: lambda:GetLayerVersion because no {}-based policy allows the action"
    missing = refusal("AccessDeniedException", denied.format("resource"))
    assert "is not published in eu-central-1" in only_failure(stage(GetLayerVersionByArn=missing), environ).text
    (own,) = warnings(stage(GetLayerVersionByArn=refusal("AccessDeniedException", denied.format("identity"))), environ)
    assert own.text.startswith("the layer of the functions could not be checked: ")


def test_no_bootstrap_is_mended_by_one_command(environ: dict[str, str]) -> None:
    failure = only_failure(stage(GetParameter=refusal("ParameterNotFound")), environ)
    assert "the CDK is not bootstrapped: account 123456789012 in eu-central-1 has no /cdk-bootstrap" in failure.text
    assert failure.remedy == "make bootstrap"


@pytest.mark.parametrize(("version", "level"), [("5", "failure"), ("6", "warning"), ("29", "warning"), ("30", "ok")])
def test_an_old_bootstrap_is_too_old_or_silent(environ: dict[str, str], version: str, level: str) -> None:
    found = check(stage(GetParameter={"Parameter": {"Value": version}}), environ)
    (bootstrapped,) = (finding for finding in found if "bootstrap" in finding.text)
    assert bootstrapped.level == level and (level == "ok" or bootstrapped.remedy == "make bootstrap")


def test_the_builder_is_one_of_the_checks(tmp_path: Path, environ: dict[str, str]) -> None:
    install(tmp_path, image=CONTAINERD)
    assert "which SageMaker refuses" in only_failure(stage(), environ).text


def test_a_new_accounts_concurrency_throttles(environ: dict[str, str]) -> None:
    (warning,) = warnings(stage(GetAccountSettings={"AccountLimit": {"ConcurrentExecutions": 10}}), environ)
    assert "Lambda runs 10 functions of this account at once" in warning.text and "let 40 come" in warning.text
    assert "one import and one batch take all of it" in warning.text
    assert "--service-code lambda --quota-code L-B99A9384 --desired-value 1000" in warning.remedy
    (warning,) = warnings(stage(GetAccountSettings={"AccountLimit": {"ConcurrentExecutions": 39}}), environ)
    assert warning.text.endswith("let 40 come")


def test_what_a_service_does_not_answer_is_said_and_stops_nothing(environ: dict[str, str]) -> None:
    denied = refusal("AccessDeniedException", "not authorized to perform: servicequotas:ListServiceQuotas")
    (warning,) = warnings(stage(ListServiceQuotas=denied), environ)
    assert warning.text.startswith("SageMaker's quotas could not be checked: ")
    assert "servicequotas:ListServiceQuotas" in warning.text


def of_stacks(status: str, environ: dict[str, str]) -> list[Finding]:
    """What is found of stacks that are all in this status."""

    def described(asked: dict[str, Any]) -> Mapping[str, Any]:
        return {"Stacks": [{"StackName": asked["StackName"], "CreationTime": "2026-01-01", "StackStatus": status}]}

    return [each for each in check(stage(DescribeStacks=described), environ) if f"is {status}" in each.text]


@pytest.mark.parametrize(
    ("status", "level", "remedy"),
    [
        ("CREATE_COMPLETE", "ok", ""),
        ("UPDATE_ROLLBACK_COMPLETE", "ok", ""),
        ("REVIEW_IN_PROGRESS", "ok", ""),
        ("ROLLBACK_COMPLETE", "note", ""),
        ("UPDATE_IN_PROGRESS", "failure", "aws cloudformation wait stack-update-complete"),
        ("UPDATE_ROLLBACK_FAILED", "failure", "aws cloudformation continue-update-rollback --stack-name"),
        ("DELETE_FAILED", "failure", "make doctor"),
    ],
)
def test_a_stack_is_left_as_a_deployment_can_or_can_not_go_on(
    environ: dict[str, str], status: str, level: str, remedy: str
) -> None:
    stacks = of_stacks(status, environ)
    assert [finding.text.split()[0] for finding in stacks] == [
        f"Wordsight{part}-prod" for part in ("Data", "Training", "Serving", "Api", "Operations")
    ]
    assert {finding.level for finding in stacks} == {level} and all(remedy in finding.remedy for finding in stacks)


@pytest.mark.parametrize(
    ("output", "serving", "paused", "moves"),
    [
        ("FunctionName", "endpoint", "yes", True),
        ("EndpointName", "lambda", "yes", True),
        ("EndpointName", "endpoint", "yes", False),
        ("FunctionName", "endpoint", "no", False),
    ],
)
def test_a_paused_stage_is_not_moved_to_the_other_tier(
    environ: dict[str, str], output: str, serving: str, paused: str, moves: bool
) -> None:
    stack = {
        "CreationTime": datetime(2026, 11, 29, tzinfo=UTC),
        "StackStatus": "UPDATE_COMPLETE",
        "Parameters": [{"ParameterKey": "Paused", "ParameterValue": paused}],
        "Outputs": [{"OutputKey": output, "OutputValue": "wordsight-dev"}],
    }

    def described(asked: dict[str, Any]) -> Mapping[str, Any]:
        return {"Stacks": [{"StackName": asked["StackName"], **stack}]}

    config = StageConfig.model_validate({"stage": "dev", "serving": serving})
    found = failures(check(stage(config, DescribeStacks=described), environ))
    remedies = [each.remedy for each in found if "the stage is paused" in each.text]
    assert remedies == ["make resume STAGE=dev, then deploy"] * moves


BOTOCORE = botocore.session.get_session()
WAITERS = BOTOCORE.get_waiter_model("cloudformation")
STATUSES = BOTOCORE.get_service_model("cloudformation").shape_for("StackStatus").enum


def ends(waiter: str) -> dict[str, str]:
    """Whether a waiter ends well, by the status in which it finds the stack."""
    name = "".join(word.capitalize() for word in waiter.split("-"))
    return {acceptor.expected: acceptor.state for acceptor in WAITERS.get_waiter(name).acceptors}


@pytest.mark.parametrize(
    "status", [each for each in STATUSES if each.endswith("_IN_PROGRESS") and each != "REVIEW_IN_PROGRESS"]
)
def test_who_waits_for_a_stack_waits_as_long_as_it_changes_and_ends_well(environ: dict[str, str], status: str) -> None:
    remedy = of_stacks(status, environ)[0].remedy
    end = status.removesuffix("_IN_PROGRESS").removesuffix("_COMPLETE_CLEANUP") + "_COMPLETE"
    if waiter := re.fullmatch(r"wait: aws cloudformation wait ([a-z-]+) --stack-name WordsightData-prod", remedy):
        assert (ends(waiter[1]).get(status), ends(waiter[1])[end]) == (None, "success")
    else:
        assert remedy == "wait a few minutes, then again: make preflight STAGE=prod"
        names = [each for each in WAITERS.waiter_names if each.startswith("Stack") and "Refactor" not in each]
        for each in names:
            assert "success" not in {a.state for a in WAITERS.get_waiter(each).acceptors if a.expected == end}


def test_api_gateways_role_for_logs_is_noted_where_there_is_none(environ: dict[str, str]) -> None:
    config = PROD.model_copy(update={"alarm_email": "team@example.com"})
    (note,) = (each for each in check(stage(config, GetAccount={}), environ) if each.level == "note")
    assert "a destroy leaves it" in note.text


class Blobs(Quiet):
    """Serves the configuration of an image for the CPU in the path."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"architecture": self.path.strip("/")}).encode())


@pytest.fixture(scope="module")
def blobs() -> Iterator[str]:
    with serving(Blobs) as port:
        yield f"http://127.0.0.1:{port}"


def image(media_type: str = DOCKER_MANIFEST) -> Mapping[str, Any]:
    manifest = json.dumps({"config": {"digest": "sha256:" + "0" * 64}})
    return {"images": [{"imageManifest": manifest, "imageManifestMediaType": media_type}]}


def test_images_that_were_pushed_before_are_looked_at(environ: dict[str, str], blobs: str) -> None:
    good: dict[str, Answer] = {
        "BatchGetImage": image(),
        "GetDownloadUrlForLayer": {"downloadUrl": f"{blobs}/amd64"},
    }
    assert warnings(stage(GIVEN, **good), environ) == []
    arm = {**good, "GetDownloadUrlForLayer": {"downloadUrl": f"{blobs}/arm64"}}
    serving, training = failures(check(stage(GIVEN, **arm), environ))
    assert serving.text == "serve_image_uri is for arm64, and SageMaker's instances are amd64"
    assert training.text.startswith("train_image_uri") and "--platform linux/amd64" in training.remedy


def test_an_architecture_that_can_not_be_read_is_said(environ: dict[str, str]) -> None:
    found = check(stage(GIVEN, BatchGetImage=image()), environ)
    assert failures(found) == [] and any("architecture that can't be read" in each.text for each in found)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (image("application/vnd.oci.image.index.v1+json"), "has the manifest application/vnd.oci.image.index.v1+json"),
        ({"images": []}, f"there is no image {IMAGE}"),
        (refusal("RepositoryNotFoundException"), f"there is no image {IMAGE}"),
    ],
)
def test_images_that_sagemaker_would_refuse_are_named(environ: dict[str, str], answer: Answer, sentence: str) -> None:
    found = failures(check(stage(GIVEN, BatchGetImage=answer), environ))
    assert len(found) == 2 and all(sentence in failure.text and failure.remedy for failure in found)


def test_what_lambda_takes_and_sagemaker_does_not_is_a_matter_of_trainings_only(environ: dict[str, str]) -> None:
    by_function = GIVEN.model_copy(update={"serving": "lambda"})
    failure = only_failure(stage(by_function, BatchGetImage=image(OCI_MANIFEST)), environ)
    assert failure.text.startswith("train_image_uri has the manifest")


def test_an_image_of_another_region_is_out_of_reach(environ: dict[str, str]) -> None:
    found = failures(check(stage(GIVEN, region="us-east-1", BatchGetImage=image()), environ))
    assert all(
        "is in eu-central-1, and SageMaker pulls from its own region only, here us-east-1" in f.text for f in found
    )
    assert len(found) == 2


def nobody(monkeypatch: pytest.MonkeyPatch, **environ: str) -> None:
    """A shell that knows no account."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, **environ}
    for name, value in {**nowhere, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)


def test_without_credentials_or_region_the_machine_is_checked_all_the_same(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody(monkeypatch, AWS_DEFAULT_REGION=REGION)
    assert main(["dev"], environ) == 1
    told = capsys.readouterr().out
    assert "there are no AWS credentials\n           aws configure" in told and "docker builds images" in told
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert main(["dev"], environ) == 1
    assert "no region is chosen\n           export AWS_REGION=" in capsys.readouterr().out


def test_credentials_that_have_expired_say_so(environ: dict[str, str]) -> None:
    expired = refusal("ExpiredToken", "The security token included in the request is expired")
    failure = only_failure(stage(GetCallerIdentity=expired), environ)
    assert "AWS does not take these credentials" in failure.text and "expired" in failure.text
    assert "aws sso login" in failure.remedy


def test_a_configuration_that_is_not_allowed_is_told_before_anything_is_asked(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dev", "-c", "auht=iam"], environ) == 1
    assert "did you mean auth?" in capsys.readouterr().err


def test_a_role_for_logs_that_is_said_to_exist_must(environ: dict[str, str]) -> None:
    config = StageConfig(stage="dev", api_logging="existing")
    assert failures(check(stage(config, GetAccount={"cloudwatchRoleArn": "arn:aws:iam::1:role/logs"}), environ)) == []
    failure = only_failure(stage(config, GetAccount={}), environ)
    assert "API Gateway has no role for its logs here" in failure.text
    assert "api_logging=create" in failure.remedy
    assert failures(check(stage(StageConfig(stage="dev", api_logging="off"), GetAccount={}), environ)) == []


def test_a_bucket_that_is_adopted_must_be_there(environ: dict[str, str]) -> None:
    def head(asked: dict[str, Any]) -> Any:
        assert asked["ExpectedBucketOwner"] == "123456789012"
        return refusal("404", "Not Found") if asked["Bucket"] == "kept-data" else {}

    failure = only_failure(stage(StageConfig(**BUCKETS), HeadBucket=head), environ)
    assert "data_bucket is kept-data, and account 123456789012 has no such bucket" in failure.text
    assert failures(check(stage(StageConfig(**BUCKETS), HeadBucket={"BucketRegion": REGION}), environ)) == []


def test_a_bucket_of_another_region_is_not_adopted(environ: dict[str, str]) -> None:
    def head(asked: dict[str, Any]) -> Any:
        return {"BucketRegion": "us-west-2" if asked["Bucket"] == "kept-data" else REGION}

    failure = only_failure(stage(StageConfig(**BUCKETS), HeadBucket=head), environ)
    assert failure.text == f"data_bucket is kept-data, which is in us-west-2, and SageMaker's own region is {REGION}"
    assert failure.remedy == f"export AWS_REGION=us-west-2, or name a bucket in {REGION}"


def test_a_bucket_that_the_stages_own_stack_holds_is_not_adopted(environ: dict[str, str]) -> None:
    held = holds(Data=("AWS::S3::Bucket", "kept-data"))
    failure = only_failure(stage(StageConfig(**BUCKETS), HeadBucket={}, ListStackResources=held), environ)
    assert failure.text.startswith("data_bucket is kept-data, which WordsightData-dev still holds")
    assert "leave data_bucket out" in failure.remedy and "retain_data=true" in failure.remedy
