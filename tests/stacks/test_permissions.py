"""What a role is granted, statement by statement, and which reasons it keeps for cdk-nag."""

from typing import Any

import pytest
from aws_cdk import App, Stack, aws_s3
from aws_cdk.assertions import Template

from stacks.permissions import ExecutionRole, Role

BUCKET = {"Fn::GetAtt": ["Bucket83908E77", "Arn"]}


@pytest.fixture
def stack() -> Stack:
    return Stack(App(), "Stack")


@pytest.fixture
def bucket(stack: Stack) -> aws_s3.Bucket:
    return aws_s3.Bucket(stack, "Bucket")


def statements(stack: Stack) -> list[dict[str, Any]]:
    (policy,) = Template.from_stack(stack).find_resources("AWS::IAM::Policy").values()
    found: list[dict[str, Any]] = policy["Properties"]["PolicyDocument"]["Statement"]
    return found


def test_a_role_is_one_services_and_may_do_nothing(stack: Stack) -> None:
    Role(stack, "Role", service="states")
    template = Template.from_stack(stack)
    (role,) = template.find_resources("AWS::IAM::Role").values()
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "states.amazonaws.com"}
    assert not template.find_resources("AWS::IAM::Policy")


def test_an_asterisk_is_only_expected_for_a_reason(stack: Stack) -> None:
    role = Role(stack, "Role", service="states")
    role.allow(["a:Read"], "arn:one*")
    role.allow(["a:Read"], "arn:two*", "arn:three*", because="they have names of their own")
    assert role.wildcards == dict.fromkeys(["arn:two*", "arn:three*"], "they have names of their own")


def test_objects_are_granted_under_prefixes_and_the_rest_of_the_bucket_is_not(
    stack: Stack, bucket: aws_s3.Bucket
) -> None:
    role = Role(stack, "Role", service="lambda")
    role.allow_objects(bucket, ["s3:PutObject"], "tasks/", "uploads/")
    (statement,) = statements(stack)
    assert statement["Resource"] == [{"Fn::Join": ["", [BUCKET, f"/{prefix}/*"]]} for prefix in ("tasks", "uploads")]
    assert list(role.wildcards) == [bucket.arn_for_objects("tasks/*"), bucket.arn_for_objects("uploads/*")]


@pytest.mark.parametrize("prefix", ["", "tasks", "*", "tasks/*/"])
def test_no_prefix_reaches_further_than_a_folder(stack: Stack, bucket: aws_s3.Bucket, prefix: str) -> None:
    with pytest.raises(ValueError, match="a prefix ends with a slash"):
        Role(stack, "Role", service="lambda").allow_objects(bucket, ["s3:GetObject"], prefix)


def test_who_reads_under_prefixes_lists_only_there(stack: Stack, bucket: aws_s3.Bucket) -> None:
    Role(stack, "Role", service="lambda").allow_read(bucket, "models/")
    listing, reading = statements(stack)
    assert (listing["Action"], listing["Resource"]) == ("s3:ListBucket", BUCKET)
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["models/*"]}}
    assert (reading["Action"], reading["Resource"]) == ("s3:GetObject", {"Fn::Join": ["", [BUCKET, "/models/*"]]})


def test_a_stack_is_granted_by_its_name(stack: Stack) -> None:
    role = Role(stack, "Role", service="lambda")
    role.allow_stack("Other", "DescribeStacks", "UpdateStack", conditions={"StringEquals": {"a:Key": "value"}})
    (statement,) = statements(stack)
    assert statement["Action"] == ["cloudformation:DescribeStacks", "cloudformation:UpdateStack"]
    assert statement["Resource"]["Fn::Join"][1][-1] == ":stack/Other/*"
    assert statement["Condition"] == {"StringEquals": {"a:Key": "value"}}
    assert len(role.wildcards) == 1


def test_an_execution_role_writes_one_log_group_and_one_metric_namespace(stack: Stack) -> None:
    ExecutionRole(stack, "Role", log_group_name="/jobs", log_streams="mine-", metric_namespace="/metrics")
    writing, making, measuring = statements(stack)
    assert writing["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert writing["Resource"]["Fn::Join"][1][-1] == ":log-group:/jobs:log-stream:mine-*"
    assert making["Action"] == ["logs:CreateLogGroup", "logs:DescribeLogStreams"]
    assert [each["Fn::Join"][1][-1] for each in making["Resource"]] == [
        *(":log-group:/jobs", ":log-group:/jobs:log-stream:")
    ]
    assert (measuring["Action"], measuring["Resource"]) == ("cloudwatch:PutMetricData", "*")
    assert measuring["Condition"] == {"StringEquals": {"cloudwatch:namespace": "/metrics"}}
