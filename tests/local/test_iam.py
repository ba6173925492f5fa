"""What a role of the app may do on the emulator: what its policies say, as AWS would read them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.iam import Engine
from local.permissions import Decision, Denied, read_decisions
from local.settings import LocalSettings
from tests.local.conftest import clients_of
from tests.local.emulated import deployed, settle, wait_for
from tests.local.test_stepfunctions import ended

FUNCTION = """
import boto3
from botocore.exceptions import ClientError


def handler(event, context):
    try:
        getattr(boto3.client(event["service"]), event["operation"])(**event["parameters"])
    except ClientError as error:
        return error.response["Error"]["Code"] + ": " + error.response["Error"]["Message"]
    return "done"
"""

Try = Callable[..., str]
"""Lets the role call a service: `try_("s3", "put_object", Bucket=…)` returns "done" or the refusal."""


def allow(action: str, *resources: str, **conditions: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": list(resources)}
    return {**statement, **({"Condition": conditions} if conditions else {})}


def role(service: str, *statements: dict[str, Any], name: str) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = {"PolicyName": "may", "PolicyDocument": {"Statement": list(statements)}}
    properties = {"RoleName": name, "AssumeRolePolicyDocument": {"Statement": [trust]}, "Policies": [policy]}
    return {"Type": "AWS::IAM::Role", "Properties": properties}


STACK = "arn:aws:cloudformation:us-east-1:000000000000:stack/changed/*"
PASSED = "arn:aws:iam::000000000000:role/WordsightPassed"
MAY = (
    allow("s3:PutObject", "arn:aws:s3:::probe/allowed/*", "arn:aws:s3:::probe/kept/*"),
    allow("s3:GetObject", "arn:aws:s3:::probe/kept/*"),
    allow("cloudformation:UpdateStack", STACK, StringEquals={"cloudformation:RoleArn": PASSED}),
    allow("iam:PassRole", PASSED, StringEquals={"iam:PassedToService": "cloudformation.amazonaws.com"}),
    allow("sagemaker:DescribeTrainingJob", "arn:aws:sagemaker:us-east-1:000000000000:training-job/mine-*"),
    allow("cloudwatch:DisableAlarmActions", "arn:aws:cloudwatch:us-east-1:000000000000:alarm:mine-*"),
)


@pytest.fixture(scope="module")
def try_(system: LocalSettings) -> Iterator[Try]:
    aws = clients_of(system)
    aws("s3").create_bucket(Bucket="probe")
    aws("s3").put_object(Bucket="probe", Key="kept/cat", Body=b"cat")
    template = {
        "Resources": {
            "Role": role("lambda", *MAY, name="WordsightProbe"),
            "Passed": role("cloudformation", allow("s3:GetObject", "*"), name="WordsightPassed"),
            "Other": role("cloudformation", allow("s3:GetObject", "*"), name="WordsightOther"),
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    **{"FunctionName": "probe", "Handler": "index.handler", "Runtime": "python3.14", "Timeout": 60},
                    **{"Code": {"ZipFile": FUNCTION}, "Role": {"Fn::GetAtt": ["Role", "Arn"]}},
                },
            },
        }
    }

    def attempt(service: str, operation: str, **parameters: Any) -> str:
        event = json.dumps({"service": service, "operation": operation, "parameters": parameters})
        answer = aws("lambda").invoke(FunctionName="probe", Payload=event)
        return str(json.load(answer["Payload"]))

    with deployed(aws, "probe", json.dumps(template)):
        yield attempt


def decided(system: LocalSettings, action: str) -> list[Decision]:
    return [each for each in read_decisions(system.decisions) if (each.role, each.action) == ("WordsightProbe", action)]


def test_a_role_does_what_it_may_and_nothing_beside_it(system: LocalSettings, try_: Try) -> None:
    assert try_("s3", "put_object", Bucket="probe", Key="allowed/dog") == "done"
    refused = try_("s3", "put_object", Bucket="probe", Key="elsewhere/dog")
    assert refused.startswith("AccessDenied: ")
    assert "is not authorized to perform: s3:PutObject" in refused
    found = {each.resource: each.allowed for each in decided(system, "s3:PutObject")}
    assert found["arn:aws:s3:::probe/allowed/dog"] is True
    assert found["arn:aws:s3:::probe/elsewhere/dog"] is False


def test_a_write_on_a_condition_reads_the_object_too(try_: Try) -> None:
    assert "s3:GetObject" in try_("s3", "put_object", Bucket="probe", Key="allowed/dog", IfMatch='"1"')
    assert "PreconditionFailed" in try_("s3", "put_object", Bucket="probe", Key="kept/cat", IfMatch='"1"')


def test_only_who_may_list_a_bucket_is_told_that_a_key_is_not_there(system: LocalSettings, try_: Try) -> None:
    assert try_("s3", "get_object", Bucket="probe", Key="kept/cat") == "done"
    assert "AccessDenied" in try_("s3", "get_object", Bucket="probe", Key="kept/nothing")
    assert [each.allowed for each in decided(system, "s3:ListBucket")] == [False]


def test_sagemakers_actions_are_known_with_their_resources(try_: Try) -> None:
    assert "Requested resource not found" in try_("sagemaker", "describe_training_job", TrainingJobName="mine-1")
    denied = try_("sagemaker", "describe_training_job", TrainingJobName="yours-1")
    assert "sagemaker:DescribeTrainingJob" in denied
    assert "sagemaker:InvokeEndpoint" in try_("sagemaker-runtime", "invoke_endpoint", EndpointName="clip", Body="x")


def test_an_alarm_is_known_by_its_name(try_: Try) -> None:
    assert try_("cloudwatch", "disable_alarm_actions", AlarmNames=["mine-1"]) == "done"
    denied = try_("cloudwatch", "disable_alarm_actions", AlarmNames=["yours-1"])
    assert "cloudwatch:DisableAlarmActions" in denied


def template(**parameters: Any) -> str:
    return json.dumps({"Parameters": parameters, "Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}})


def test_a_stack_is_updated_with_the_role_that_may_be_passed_and_with_no_other(
    system: LocalSettings, aws: Any, try_: Try
) -> None:
    colour = {"Colour": {"Type": "String", "Default": "red"}}
    aws("ssm").put_parameter(Name="/cdk-bootstrap/v", Value="33", Type="String")
    with deployed(aws, "changed", template(**colour)) as stacks:
        change = {"StackName": "changed", "UsePreviousTemplate": True, "Parameters": [green]}
        assert "cloudformation:UpdateStack" in try_("cloudformation", "update_stack", **change)
        other = PASSED.replace("Passed", "Other")
        assert "cloudformation:UpdateStack" in try_("cloudformation", "update_stack", **change, RoleARN=other)
        assert "No updates" in try_("cloudformation", "update_stack", **change, RoleARN=PASSED)
        stacks.update_stack(StackName="changed", TemplateBody=template(**colour, BootstrapVersion=version))
        settle(stacks, "changed", "update")
        assert "AccessDenied" in try_("cloudformation", "update_stack", **change, RoleARN=PASSED)
        (asked,) = decided(system, "ssm:GetParameters")
        assert (asked.resource.rpartition(":")[2], asked.allowed) == ("parameter/cdk-bootstrap/v", False)


green = {"ParameterKey": "Colour", "UsePreviousValue": True}
version = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk-bootstrap/v"}


def test_a_request_that_no_action_is_known_for_is_refused(try_: Try, system: LocalSettings) -> None:
    assert try_("sqs", "list_queues") != "done"
    assert not [each for each in read_decisions(system.decisions) if each.allowed and each.action.endswith("Unmapped")]


def test_a_services_own_calls_are_held_against_its_role(system: LocalSettings, try_: Try) -> None:
    try_("s3", "put_object", Bucket="probe", Key="allowed/dog")
    assert [each.allowed for each in decided(system, "logs:PutLogEvents")] == [False]
    assert decided(system, "logs:PutLogEvents")[0].because == "a function runs"


def test_a_machine_runs_with_its_role(aws: Any, try_: Try) -> None:
    function = "arn:aws:lambda:us-east-1:000000000000:function:probe"
    state = {"Type": "Task", "Resource": function, "Parameters": {}, "End": True}
    definition = json.dumps({"StartAt": "Only", "States": {"Only": state}})
    machines = aws("stepfunctions")
    for service, reason in (("states", "lambda:InvokeFunction"), ("lambda", "sts:AssumeRole")):
        name = f"WordsightMachine-{service}"
        with deployed(aws, name, json.dumps({"Resources": {"Role": role(service, name=name)}})):
            arn = f"arn:aws:iam::000000000000:role/{name}"
            machine = machines.create_state_machine(name=name, definition=definition, roleArn=arn)["stateMachineArn"]
            execution = machines.start_execution(stateMachineArn=machine)["executionArn"]
            state = ended(aws, execution)
            assert state["status"] == "FAILED"
            assert reason in state["cause"]


def test_a_machine_whose_role_may_not_log_is_not_made(aws: Any) -> None:
    definition = json.dumps({"StartAt": "Only", "States": {"Only": {"Type": "Succeed"}}})
    machine = {"DefinitionString": definition, "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}}
    resources = {
        "Role": role("states", name="WordsightSilent"),
        "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine},
    }
    stacks = aws("cloudformation")
    stacks.create_stack(
        StackName="silent", TemplateBody=json.dumps({"Resources": resources}), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    wait_for(lambda: stacks.describe_stacks(StackName="silent")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE")
    events = stacks.describe_stack_events(StackName="silent")["StackEvents"]
    reasons = [each.get("ResourceStatusReason", "") for each in events]
    assert any("logs:CreateLogDelivery" in reason for reason in reasons)
    stacks.delete_stack(StackName="silent")


def test_the_roles_of_cdks_own_functions_are_let_through(tmp_path: Any) -> None:
    log = tmp_path / "decisions"
    Engine(log).imply("a function runs", "arn:aws:iam::0:role/WordsightServing-dev-LogRetention1-2", log_group="x")
    assert not log.exists()


def test_an_execution_role_reads_and_writes_with_its_own_rights(tmp_path: Any) -> None:
    with pytest.raises(Denied, match="sts:AssumeRole"):
        Engine(tmp_path / "decisions").imply("a container starts", "arn:aws:iam::000000000000:role/WordsightNobody")


def test_a_decision_is_written_once_and_read_again(tmp_path: Any) -> None:
    log = tmp_path / "decisions"
    engine = Engine(log)
    for _ in range(2):
        engine.record("WordsightRole", "s3:GetObject", "arn:aws:s3:::a/b", True, "s3", {})
    assert list(read_decisions(log)) == [Decision("WordsightRole", "s3:GetObject", "arn:aws:s3:::a/b", True, "s3", {})]
