"""What holds for all stacks together: nothing too wide, nothing left behind, nothing that needs an account."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import App, Stack, aws_s3

from stacks.config import POWERTOOLS_ACCOUNT, POWERTOOLS_ACCOUNTS
from tests.stacks.conftest import REPOSITORY, Assembly, flat, listed

STATEFUL = ("AWS::S3::Bucket", "AWS::Logs::LogGroup")
ACTIONS_WITHOUT_RESOURCES = {
    *("cloudwatch:GetMetricStatistics", "cloudwatch:GetMetricData"),
    *(f"application-autoscaling:Describe{what}" for what in ("ScalableTargets", "ScalingPolicies", "ScheduledActions")),
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "sagemaker:ListTags",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
    # Step Functions' log delivery, as documented: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    # the library's own function that sets a log group's retention
    "logs:DeleteRetentionPolicy",
    "logs:PutRetentionPolicy",
}


def test_every_resource_with_a_state_says_what_becomes_of_it(assembly: Assembly) -> None:
    for id, resource in assembly.resources:
        if resource["Type"] in STATEFUL:
            assert {resource["DeletionPolicy"], resource["UpdateReplacePolicy"]} <= {"Delete", "Retain"}, id


def test_no_log_is_kept_for_ever(assembly: Assembly) -> None:
    for id, resource in assembly.resources:
        if resource["Type"] == "AWS::Logs::LogGroup":
            assert resource["Properties"]["RetentionInDays"] <= 90, id


def test_no_role_carries_a_policy_that_grants_everything(assembly: Assembly) -> None:
    allowed = {"AWSLambdaBasicExecutionRole", "AmazonAPIGatewayPushToCloudWatchLogs"}
    for id, resource in assembly.resources:
        if resource["Type"] == "AWS::IAM::Role":
            managed = {flat(each).rpartition("/")[2] for each in resource["Properties"].get("ManagedPolicyArns", [])}
            assert managed <= allowed, id


def test_no_statement_grants_whole_services_or_reaches_further_than_its_action_must(assembly: Assembly) -> None:
    for id, resource in assembly.resources:
        if resource["Type"] != "AWS::IAM::Policy":
            continue
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            actions = set(listed(statement["Action"]))
            assert not [action for action in actions if "*" in action], id
            if "*" in listed(statement["Resource"]):
                assert actions <= ACTIONS_WITHOUT_RESOURCES, id


def test_a_service_takes_a_role_only_where_it_is_meant(assembly: Assembly) -> None:
    principals = {
        flat(statement["Principal"]["Service"])
        for _, resource in assembly.resources
        if resource["Type"] == "AWS::IAM::Role"
        for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    }
    by_clock = {"scheduler.amazonaws.com"} if assembly.stage == "prod" else set()  # whose office hours are set
    assert principals == by_clock | {
        "apigateway.amazonaws.com",
        "cloudformation.amazonaws.com",
        "lambda.amazonaws.com",
        "sagemaker.amazonaws.com",
        "states.amazonaws.com",
    }


def test_what_has_a_physical_name_has_the_stage_in_it(dev: Assembly) -> None:
    """The endpoint, and the log groups of state machines. Two stages of one account would meet in any other."""
    named = {
        resource["Properties"][name]: resource["Type"]
        for _, resource in dev.resources
        for name in ("BucketName", "RoleName", "FunctionName", "StateMachineName", "LogGroupName", "EndpointName")
        if isinstance(resource["Properties"].get(name), str) and not resource["Type"].startswith("Custom::")
    }
    assert set(named.values()) == {"AWS::SageMaker::Endpoint", "AWS::Logs::LogGroup"}
    assert all("-dev" in name for name in named)


def test_prod_can_not_be_deleted_by_mistake(dev: Assembly, adopting: Assembly) -> None:
    for assembly, protected in ((dev, False), (adopting, True)):
        manifest = json.loads((assembly.directory / "manifest.json").read_text())
        stacks = [each for each in manifest["artifacts"].values() if each["type"] == "aws:cloudformation:stack"]
        assert [each["properties"].get("terminationProtection", False) for each in stacks] == [protected] * 5


def test_stacks_refer_to_each_other_weakly(assembly: Assembly) -> None:
    text = json.dumps([template.body for template in assembly.templates.values()])
    assert "Fn::ImportValue" not in text
    assert "Fn::GetStackOutput" in text


def test_nothing_names_an_account_or_a_region(dev: Assembly) -> None:
    text = json.dumps([template.body for template in dev.templates.values()])
    assert "us-east-1" not in text
    accounts = set(re.findall(r"\b\d{12}\b", text))
    assert accounts == {POWERTOOLS_ACCOUNT, *POWERTOOLS_ACCOUNTS.values()}  # whose is the public layer


def test_everything_taggable_says_whose_it_is(dev: Assembly) -> None:
    tags = dev.serving.the("AWS::SageMaker::Endpoint")["Tags"]
    assert {"Key": "application", "Value": "wordsight"} in tags
    assert {"Key": "stage", "Value": "dev"} in tags


@pytest.mark.slow
def test_cfn_lint_finds_nothing(dev: Assembly, prod: Assembly, adopting: Assembly, by_function: Assembly) -> None:
    """W3005 is the library's: it lists a dependency that a reference implies."""
    assemblies = (dev, prod, adopting, by_function)
    templates = [str(each) for assembly in assemblies for each in assembly.directory.glob("*.template.json")]
    assert len(templates) == 20
    cfn_lint = str(Path(sys.executable).parent / "cfn-lint")
    ran = subprocess.run([cfn_lint, "--ignore-checks", "W3005", "--", *templates], capture_output=True, text=True)
    assert (ran.stdout, ran.returncode) == ("", 0)


@pytest.mark.slow
def test_the_librarys_own_rules_would_find_a_value_that_cloudformation_refuses(tmp_path: Path) -> None:
    flags = json.loads((REPOSITORY / "cdk.json").read_text())["context"]
    app = App(context=flags, outdir=str(tmp_path))
    aws_s3.CfnBucket(Stack(app, "Other"), "Shouting", bucket_name="SHOUTING!")
    with pytest.raises(RuntimeError, match="SHOUTING!"):
        app.synth()


@pytest.fixture
def bare_environment(tmp_path: Path) -> dict[str, str]:
    """An empty home and no credentials. PATH: the interpreter's folder, where node is too, and the system's."""
    search = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    cache = os.environ.get("JSII_RUNTIME_PACKAGE_CACHE_ROOT") or str(Path.home() / ".cache/aws/jsii/package-cache")
    return {
        "PATH": search,
        "HOME": str(tmp_path),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        # Of the library's own code: unpacked anew into an empty home, that takes longer than all tests of this folder.
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": cache,
    }


@pytest.mark.slow
def test_a_machine_without_credentials_synthesizes_without_a_warning(
    bare_environment: dict[str, str], tmp_path: Path
) -> None:
    cdk = REPOSITORY / "node_modules" / ".bin" / "cdk"
    command = [str(cdk), "synth", "--quiet", "--output", str(tmp_path / "out")]
    ran = subprocess.run(command, cwd=REPOSITORY, env=bare_environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "warning" not in ran.stderr.lower()
    assert len(list((tmp_path / "out").glob("*.template.json"))) == 5


def test_a_bad_value_stops_synth_with_a_sentence(bare_environment: dict[str, str]) -> None:
    environment = {**bare_environment, "CDK_CONTEXT_JSON": '{"auth": "basic"}'}
    ran = subprocess.run([sys.executable, "app.py"], cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert ran.returncode != 0
    assert ran.stderr.rstrip().endswith("auth is 'basic', allowed: api_key, iam, none")
    assert "Traceback" not in ran.stderr


def test_the_cdk_cli_tells_nobody_of_a_deployment() -> None:
    settings = json.loads((REPOSITORY / "cdk.json").read_text())
    silent = (settings["versionReporting"], settings["notices"], settings["context"]["cli-telemetry"])
    assert silent == (False, False, False)
