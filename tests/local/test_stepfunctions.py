"""State machines on the emulator: what a stopped execution ends, and how a function's error is called."""

import io
import json
import time
import zipfile
from typing import Any

import pytest

from tests.local.emulated import ROLE, wait_for
from tests.local.test_training import request as training_request

FAILING = """
class Overloaded(Exception):
    pass


def handler(event, context):
    raise Overloaded("come back\\nlater")
"""


def zipped(source: str) -> bytes:
    """A function's code as Lambda takes it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("index.py", source)
    return archive.getvalue()


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_wait_is_over_long_before_what_it_waits_for_on_aws_would_be(aws: Any) -> None:
    """And before `ended` has had enough."""
    assert ended(aws, start(aws, "waiting", {"Type": "Wait", "Seconds": 100}))["status"] == "SUCCEEDED"
