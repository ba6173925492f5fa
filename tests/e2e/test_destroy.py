"""A stage taken down by its operator while it works, and one whose first deployment fails, on the emulator.

The tests of this module share one system and build on each other, in their order.
"""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from contract.batches import SHARD_IMAGES
from local import sample
from local.settings import cdk_environment
from tests.e2e.system import SERVING_STACK, System, labels, undeployed
from tests.e2e.test_local import upload_dataset
from tests.local.conftest import ROOT

pytestmark = pytest.mark.slow

ENDPOINT_LOG, TRAININGS_LOG = "/aws/sagemaker/Endpoints/wordsight-dev", "/aws/sagemaker/TrainingJobs"
IMAGES, SIDE_PX = SHARD_IMAGES, 1000
"""One shard, of images that are large enough to keep the endpoint busy for a while."""
WRITERS = 8
BEGUN_WITHIN_S = 120


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with undeployed(tmp_path_factory.mktemp("e2e") / "local") as system:
        yield system


def operate(system: System, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What an operator runs, in a shell that points to the emulator."""
    environment = cdk_environment(system.settings, os.environ)
    program = [sys.executable, "-m", f"operate.{command}", "dev", *arguments]
    return subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def up(system: System) -> None:
    done = system.run("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert system.classify()[0][0]["label"] == "fish"


def start_training(system: System, name: str, tmp_path: Path) -> str:
    """A training that does not end by itself while the test runs. The name of its job, which is running."""
    bucket = system.output("DataBucketName")
    upload_dataset(system.client("s3"), bucket, "snapshots/colours/", tmp_path)
    hyperparameters = {"steps": "100000", "batch_size": "4", "evaluation_scenes": "100"}
    given = {"dataset_s3_uri": f"s3://{bucket}/snapshots/colours/", "hyperparameters": hyperparameters}
    system.client("stepfunctions").start_execution(
        stateMachineArn=system.output("StateMachineArn"), name=name, input=json.dumps(given)
    )
    job = f"wordsight-dev-{name}"
    wait(lambda: job_status(system, job), "InProgress")
    return job


def job_status(system: System, job: str) -> str:
    try:
        return str(system.client("sagemaker").describe_training_job(TrainingJobName=job)["TrainingJobStatus"])
    except ClientError:
        return "none"


def start_batch(system: System) -> None:
    """A batch that is classifying."""
    s3, bucket = system.client("s3"), system.output("DataBucketName")
    file = io.BytesIO()
    Image.open(sample.IMAGE).resize((SIDE_PX, SIDE_PX)).save(file, "png")
    image = file.getvalue()

    def put(number: int) -> None:
        s3.put_object(Bucket=bucket, Key=f"collections/fish/{number}.png", Body=image)

    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(put, range(IMAGES)))
    body = {"s3_prefix": "collections/fish/", "parameters": {"candidate_labels": labels()}}
    batch, _ = system.post("batches", json.dumps(body).encode(), "application/json")
    wait(lambda: system.send("GET", f"batches/{batch['id']}", b"", {})[1]["state"], "running")


def wait(look: Any, wanted: str) -> None:
    deadline = time.monotonic() + BEGUN_WITHIN_S
    while (found := look()) != wanted:
        assert time.monotonic() < deadline, f"{found!r} and not {wanted!r} after {BEGUN_WITHIN_S} s"
        time.sleep(0.2)


def left_in_the_account(system: System) -> list[str]:
    """Stacks, buckets, log groups and roles that are there, but for the bootstrap's."""
    stacks = system.client("cloudformation").describe_stacks()["Stacks"]
    names = [stack["StackName"] for stack in stacks if stack["StackStatus"] != "DELETE_COMPLETE"]
    names += [bucket["Name"] for bucket in system.client("s3").list_buckets()["Buckets"]]
    names += [group["logGroupName"] for group in system.client("logs").describe_log_groups()["logGroups"]]
    names += [role["RoleName"] for role in system.client("iam").list_roles()["Roles"]]
    return [name for name in names if not name.startswith(("CDKToolkit", "cdk-"))]


def test_a_stage_that_works_is_taken_down_and_nothing_is_left_that_is_not_listed(
    system: System, tmp_path: Path
) -> None:
    up(system)
    job = start_training(system, "one", tmp_path)
    start_batch(system)
    assert system.decisions()  # and none is a denial
    said = take_down(system)
    again = operate(system, "destroy", "--yes")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "stopping execution one" in said
    assert said.count("stopping execution") >= 2  # the batch's, too
    assert job_status(system, job) == "Stopped"


def take_down(system: System) -> str:
    """What the operator's command says that leaves nothing."""
    destroyed = operate(system, "destroy", "--yes")
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    verified = operate(system, "verify_clean")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert [name for name in left_in_the_account(system) if name not in verified.stdout] == []
    with pytest.raises(ClientError, match="Could not find endpoint"):
        system.client("sagemaker").describe_endpoint(EndpointName="wordsight-dev")
    return destroyed.stdout


def deploy(system: System, stack: str, *options: str) -> subprocess.CompletedProcess[str]:
    assembly = ("--app", str(system.settings.cloud_assembly))
    return system.run("cdk", "deploy", stack, "--require-approval", "never", *assembly, *options)


def test_a_first_deployment_that_fails_keeps_its_log_and_doctor_says_why(system: System) -> None:
    data = deploy(system, "WordsightData-dev")
    assert data.returncode == 0, data.stdout + data.stderr
    outputs = system.client("cloudformation").describe_stacks(StackName="WordsightData-dev")["Stacks"][0]["Outputs"]
    bucket = {each["OutputKey"]: each["OutputValue"] for each in outputs}["ArtifactsBucketName"]
    system.client("s3").put_object(Bucket=bucket, Key="models/broken/config.json", Body=b"this is no configuration")
    parameters = f"{SERVING_STACK}:ModelUri=s3://{bucket}/models/broken/"
    assert deploy(system, SERVING_STACK, "--parameters", parameters).returncode == 1
    doctor = operate(system, "doctor")
    assert doctor.returncode == 1, doctor.stderr
    assert "Probable cause: The serving container did not become healthy." in doctor.stdout
    assert f"The last lines of {ENDPOINT_LOG}:" in doctor.stdout
    assert "is no checkpoint" in doctor.stdout.partition(f"The last lines of {ENDPOINT_LOG}:")[2]


def test_the_next_deployment_works_is_healthy_and_is_taken_down_as_well(system: System) -> None:
    up(system)
    doctor = operate(system, "doctor")
    assert (doctor.returncode, doctor.stderr) == (0, ""), doctor.stdout
    assert "It is healthy." in doctor.stdout
    assert system.decisions()
    take_down(system)
