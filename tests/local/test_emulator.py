"""What local mode adds to the emulator, over HTTP as the CDK CLI, the functions and a caller meet it."""

import base64
import io
import json
import shutil
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import ClientError, Config
from botocore.exceptions import WaiterError

from local import emulator, restapi, supervisor
from local.environment import client_environment
from local.settings import LocalSettings
from tests.local.conftest import IMAGE, ROOT, free_port
from tests.local.test_training import request as training_request
from tests.local.test_training import wait_for

FUNCTION = """
import time


def handler(event, context):
    if event["path"] == "/raise":
        raise ValueError("the database password is 1234")
    if event["path"] == "/malformed":
        return {"label": "cat"}
    if event["path"] == "/nothing":
        return {"statusCode": 204, "body": None}
    if event["path"] == "/sleep":
        time.sleep(35)
    return {"statusCode": 200, "body": str(len(event["body"] or ""))}
"""

FAILING = """
class Overloaded(Exception):
    pass


def handler(event, context):
    raise Overloaded("come back\\nlater")
"""

SOON = {"Delay": 0.1, "MaxAttempts": 600}
"""Boto's waiters look every 30 s by themselves."""

ROLE = "arn:aws:iam::000000000000:role/any"


def zipped(source: str) -> bytes:
    """A function's code as Lambda takes it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("index.py", source)
    return archive.getvalue()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSettings]:
    settings = LocalSettings(ROOT, tmp_path_factory.mktemp("emulator") / "local", free_port())
    with supervisor.exclusive(settings):
        process = supervisor.start(settings)
    yield settings
    supervisor.remove(settings)
    process.wait()


@pytest.fixture
def aws(system: LocalSettings, cloud_assembly: Path) -> Any:
    """Makes boto3 clients of the emulator, whose cloud assembly is the one with the small image."""
    shutil.copytree(cloud_assembly, system.cloud_assembly, dirs_exist_ok=True)
    environment = client_environment(system, {})
    session = boto3.Session(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], region_name=environment["AWS_REGION"]
    )
    return lambda service, **more: session.client(service, endpoint_url=system.endpoint_url, **more)


def serving(**environment: str) -> str:
    """A template with one endpoint, as the serving stack's."""
    container = {"Image": IMAGE, "Environment": environment}
    variant = {"VariantName": "AllTraffic", "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}}
    config = {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
    target = {"ResourceId": "endpoint/clip/variant/AllTraffic", "MinCapacity": 1, "MaxCapacity": 2}
    resources = {
        "Model": {"Type": "AWS::SageMaker::Model", "Properties": {"PrimaryContainer": container}},
        "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}},
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {"EndpointName": "clip", "EndpointConfigName": config},
        },
        "Target": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": target},
    }
    return json.dumps({"Resources": resources})


def api() -> str:
    """A template with one REST API whose function answers everything."""
    role = {
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    }
    function = {"Handler": "index.handler", "Runtime": "python3.14", "Code": {"ZipFile": FUNCTION}, "Timeout": 60}
    uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${Function.Arn}/invocations"
    integration = {"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": {"Fn::Sub": uri}}
    method = {
        "RestApiId": {"Ref": "Api"},
        "HttpMethod": "POST",
        "AuthorizationType": "NONE",
        "Integration": integration,
    }
    template = '{"detail": $context.error.messageString}'
    resources: dict[str, Any] = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": role}},
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {**function, "Role": {"Fn::GetAtt": ["Role", "Arn"]}},
        },
        "Api": {
            "Type": "AWS::ApiGateway::RestApi",
            "Properties": {"Name": "api", "BinaryMediaTypes": ["image/*"]},
        },
        "Any": {
            "Type": "AWS::ApiGateway::Resource",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "ParentId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
                "PathPart": "{proxy+}",
            },
        },
        "Post": {"Type": "AWS::ApiGateway::Method", "Properties": {**method, "ResourceId": {"Ref": "Any"}}},
        "Errors": {
            "Type": "AWS::ApiGateway::GatewayResponse",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "ResponseType": "DEFAULT_5XX",
                "ResponseTemplates": {"application/json": template},
            },
        },
        "Deployment": {
            "Type": "AWS::ApiGateway::Deployment",
            "DependsOn": ["Post", "Errors"],
            "Properties": {"RestApiId": {"Ref": "Api"}, "StageName": "v1"},
        },
    }
    return json.dumps({"Resources": resources, "Outputs": {"Api": {"Value": {"Ref": "Api"}}}})


@pytest.fixture
def post(system: LocalSettings, aws: Any) -> Iterator[Any]:
    """Posts to the API of the template above; answers with status and JSON, None where there is none."""
    stacks = aws("cloudformation")
    stacks.create_stack(StackName="api", TemplateBody=api(), Capabilities=["CAPABILITY_IAM"])
    stacks.get_waiter("stack_create_complete").wait(StackName="api", WaiterConfig=SOON)
    api_id = stacks.describe_stacks(StackName="api")["Stacks"][0]["Outputs"][0]["OutputValue"]

    def send(path: str, body: bytes = b"", content_type: str = "image/png") -> tuple[int, Any]:
        url = f"{system.endpoint_url}/_aws/execute-api/{api_id}/v1/{path}"
        request = urllib.request.Request(url, body, {"content-type": content_type})
        try:
            with urllib.request.urlopen(request, timeout=40) as response:
                return response.status, json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    yield send
    stacks.delete_stack(StackName="api")
    stacks.get_waiter("stack_delete_complete").wait(StackName="api", WaiterConfig=SOON)


def test_the_pinned_release_has_everything_the_extensions_need() -> None:
    emulator.check()


def test_a_stack_with_an_endpoint_serves_updates_rolls_back_and_leaves_nothing(system: LocalSettings, aws: Any) -> None:
    stacks, sagemaker, runtime = aws("cloudformation"), aws("sagemaker"), aws("sagemaker-runtime")

    def colour() -> str:
        answer = runtime.invoke_endpoint(EndpointName="clip", Body=b"x")
        return str(json.load(answer["Body"])["environment"]["COLOUR"])

    stacks.create_stack(StackName="serving", TemplateBody=serving(COLOUR="red"))
    stacks.get_waiter("stack_create_complete").wait(StackName="serving", WaiterConfig=SOON)
    assert sagemaker.describe_endpoint(EndpointName="clip")["EndpointStatus"] == "InService"
    assert colour() == "red"

    stacks.update_stack(StackName="serving", TemplateBody=serving(COLOUR="green"))
    stacks.get_waiter("stack_update_complete").wait(StackName="serving", WaiterConfig=SOON)
    assert colour() == "green"

    stacks.update_stack(StackName="serving", TemplateBody=serving(COLOUR="blue", REFUSE_TO_START="1"))
    with pytest.raises(WaiterError):
        stacks.get_waiter("stack_update_complete").wait(StackName="serving", WaiterConfig=SOON)
    assert stacks.describe_stacks(StackName="serving")["Stacks"][0]["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert colour() == "green"

    stacks.delete_stack(StackName="serving")
    stacks.get_waiter("stack_delete_complete").wait(StackName="serving", WaiterConfig=SOON)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName="clip")
    assert list(system.programs.iterdir()) == []


def parametrized_serving() -> str:
    """The same with its colour as a parameter, and a role, as the serving stack has one."""
    template = json.loads(serving(COLOUR="red"))
    template["Parameters"] = {"Colour": {"Type": "String", "Default": "red"}}
    template["Resources"]["Model"]["Properties"]["PrimaryContainer"]["Environment"]["COLOUR"] = {"Ref": "Colour"}
    template["Resources"]["Role"] = json.loads(api())["Resources"]["Role"]
    return json.dumps(template)


def test_an_update_needs_the_stacks_capabilities_is_seen_under_way_and_waited_for_by_the_cdk_cli_alone(
    aws: Any,
) -> None:
    stacks = aws("cloudformation")
    green = {"ParameterKey": "Colour", "ParameterValue": "green"}
    update = {"StackName": "serving", "UsePreviousTemplate": True, "Parameters": [green]}
    created = {"TemplateBody": parametrized_serving(), "Capabilities": ["CAPABILITY_IAM"]}
    stacks.create_stack(StackName="serving", **created)
    stacks.get_waiter("stack_create_complete").wait(StackName="serving", WaiterConfig=SOON)
    with pytest.raises(ClientError, match="Requires capabilities"):
        stacks.update_stack(**update)
    stacks.update_stack(**update, Capabilities=["CAPABILITY_IAM"])
    assert stacks.describe_stacks(StackName="serving")["Stacks"][0]["StackStatus"] == "UPDATE_IN_PROGRESS"
    stacks.get_waiter("stack_update_complete").wait(StackName="serving", WaiterConfig=SOON)
    answer = aws("sagemaker-runtime").invoke_endpoint(EndpointName="clip", Body=b"x")
    assert json.load(answer["Body"])["environment"]["COLOUR"] == "green"

    green["ParameterValue"] = "blue"
    stacks.update_stack(**update, Capabilities=["CAPABILITY_IAM"])
    as_the_cdk_cli = aws("cloudformation", config=Config(user_agent_extra="aws-cdk"))
    assert as_the_cdk_cli.describe_stacks(StackName="serving")["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"
    stacks.delete_stack(StackName="serving")
    stacks.get_waiter("stack_delete_complete").wait(StackName="serving", WaiterConfig=SOON)


def test_a_containers_refusal_is_a_model_error_to_boto3(aws: Any) -> None:
    stacks, runtime = aws("cloudformation"), aws("sagemaker-runtime")
    stacks.create_stack(StackName="serving", TemplateBody=serving())
    stacks.get_waiter("stack_create_complete").wait(StackName="serving", WaiterConfig=SOON)
    answer = runtime.invoke_endpoint(EndpointName="clip", Body=b"x", CustomAttributes="id=1")
    assert answer["CustomAttributes"].startswith("process=")
    with pytest.raises(runtime.exceptions.ModelError) as refusal:
        runtime.invoke_endpoint(EndpointName="clip", Body=b"refuse")
    assert refusal.value.response["OriginalStatusCode"] == 422
    assert refusal.value.response["OriginalMessage"] == "not an image"
    stacks.delete_stack(StackName="serving")
    stacks.get_waiter("stack_delete_complete").wait(StackName="serving", WaiterConfig=SOON)


def test_a_bucket_keeps_the_tags_of_its_template(aws: Any) -> None:
    bucket = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"Tags": [{"Key": "aws-cdk:auto-delete-objects", "Value": "true"}]},
    }
    stacks = aws("cloudformation")
    stacks.create_stack(StackName="data", TemplateBody=json.dumps({"Resources": {"Bucket": bucket}}))
    stacks.get_waiter("stack_create_complete").wait(StackName="data", WaiterConfig=SOON)
    name = stacks.describe_stack_resource(StackName="data", LogicalResourceId="Bucket")["StackResourceDetail"]
    tags = aws("s3").get_bucket_tagging(Bucket=name["PhysicalResourceId"])["TagSet"]
    assert {"Key": "aws-cdk:auto-delete-objects", "Value": "true"} in tags


@pytest.mark.parametrize("path", ["raise", "malformed"])
def test_a_function_that_fails_is_a_502_without_its_words(post: Any, path: str) -> None:
    assert post(path) == (502, {"detail": "Internal server error"})


def test_a_function_may_answer_without_a_body(post: Any) -> None:
    assert post("nothing") == (204, None)


def test_a_body_over_the_limits_of_api_gateway_or_lambda_never_reaches_the_function(post: Any) -> None:
    biggest = 4_500_000
    assert post("size", bytes(biggest)) == (200, len(base64.b64encode(bytes(biggest))))
    assert post("size", bytes(5_000_000)) == (413, {"message": "Request Too Long"})
    assert post("size", bytes(restapi.MAX_BODY_BYTES + 1)) == (413, {"message": "Request Too Long"})


@pytest.mark.slow
def test_a_function_that_outlasts_api_gateway_is_a_504(post: Any) -> None:
    assert post("sleep") == (504, {"detail": "Endpoint request timed out"})


def start(aws: Any, name: str, state: dict[str, Any]) -> str:
    """Start a state machine of one state; returns the execution's ARN."""
    definition = json.dumps({"StartAt": "Only", "States": {"Only": {**state, "End": True}}})
    machines = aws("stepfunctions")
    machine = machines.create_state_machine(name=name, definition=definition, roleArn=ROLE)["stateMachineArn"]
    return str(machines.start_execution(stateMachineArn=machine)["executionArn"])


def ended(aws: Any, execution: str) -> Any:
    deadline = time.monotonic() + 60
    while (state := aws("stepfunctions").describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < deadline, "the execution did not end"
        time.sleep(0.1)
    return state


def test_a_stopped_execution_stops_the_training_job_it_waits_for(aws: Any) -> None:
    aws("s3").create_bucket(Bucket="training")
    aws("s3").put_object(Bucket="training", Key="set/cat.png", Body=b"cat")
    job = training_request("one", HyperParameters={"seconds": "60"})
    job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = "s3://training/set/"
    job["OutputDataConfig"]["S3OutputPath"] = "s3://training/models/"
    job["CheckpointConfig"]["S3Uri"] = "s3://training/checkpoints/"
    resource = "arn:aws:states:::sagemaker:createTrainingJob.sync"
    execution = start(aws, "training", {"Type": "Task", "Resource": resource, "Parameters": job})

    sagemaker = aws("sagemaker")

    def described() -> Any:
        return sagemaker.describe_training_job(TrainingJobName="one")

    wait_for(lambda: bool(aws("s3").list_objects_v2(Bucket="training", Prefix="checkpoints/").get("Contents")))
    aws("stepfunctions").stop_execution(executionArn=execution)
    wait_for(lambda: described()["TrainingJobStatus"] == "Stopped")
    assert ended(aws, execution)["status"] == "ABORTED"


def test_a_functions_error_has_its_classs_name_in_a_state_machine(aws: Any) -> None:
    function = aws("lambda").create_function(
        FunctionName="fails",
        Runtime="python3.14",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": zipped(FAILING)},
    )
    invoke = {"FunctionName": function["FunctionArn"], "Payload.$": "$"}
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": invoke}
    assert ended(aws, start(aws, "failing", task))["error"] == "Overloaded"


def test_an_operation_that_local_mode_does_not_have_is_named(aws: Any) -> None:
    with pytest.raises(ClientError, match="Local mode has no SageMaker 'CreateNotebookInstance'"):
        aws("sagemaker").create_notebook_instance(
            NotebookInstanceName="n", InstanceType="ml.t3.medium", RoleArn="a" * 20
        )
