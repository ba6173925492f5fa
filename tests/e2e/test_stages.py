"""Two stages side by side in one account: the second one deployed, promoted and destroyed by its operator."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import sample
from local.permissions import read_decisions
from local.settings import cdk_environment
from tests.e2e import calls
from tests.e2e.loop import Api
from tests.e2e.system import System, deployed, labels
from tests.local.conftest import ROOT

pytestmark = pytest.mark.slow

ON_THIS_MACHINE = ("endpoint_instance_type=ml.c7i.xlarge", "training_instance_type=ml.c7i.2xlarge", "auth=api_key")
THAT_GOES = ("termination_protection=false", "retain_data=false")
PROD = tuple(word for pair in (*ON_THIS_MACHINE, *THAT_GOES) for word in ("-c", pair))
"""All of prod but its GPUs, its signatures, and that it is kept."""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with deployed(tmp_path_factory.mktemp("stages") / "local") as system:
        yield system


def operate(
    system: System, command: str, *arguments: str, stage: tuple[str, ...] = ("prod", *PROD)
) -> subprocess.CompletedProcess[str]:
    """What an operator of prod, or another stage, runs, in a shell that points to the emulator."""
    program = [sys.executable, "-m", f"operate.{command}", *stage, *arguments]
    environment = cdk_environment(system.settings, os.environ)
    return subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


class Prod(System):
    """The second stage, which is asked at its own address."""

    @property
    def url(self) -> str:
        outputs = self.client("cloudformation").describe_stacks(StackName="WordsightApi-prod")["Stacks"][0]["Outputs"]
        (url,) = (each["OutputValue"] for each in outputs if each["OutputKey"] == "ApiUrl")
        api, stage = url.removeprefix("https://").partition(".")[0], url.rpartition("/")[2]
        return f"{self.settings.endpoint_url}/_aws/execute-api/{api}/{stage}"

    @property
    def api_key(self) -> str:
        outputs = self.client("cloudformation").describe_stacks(StackName="WordsightApi-prod")["Stacks"][0]["Outputs"]
        (id,) = (each["OutputValue"] for each in outputs if each["OutputKey"] == "ApiKeyId")
        return str(self.client("apigateway").get_api_key(apiKey=id, includeValue=True)["value"])


@pytest.fixture(scope="module")
def prod(dev: System) -> Prod:
    done = operate(dev, "deploy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "says that local/sample.png is a fish" in done.stdout
    return Prod(dev.settings)


def test_each_stage_has_its_own_tasks_annotations_and_models(dev: System, prod: Prod) -> None:
    image = base64.b64encode(sample.IMAGE.read_bytes()).decode()
    for system, name in ((dev, "of-dev"), (prod, "of-prod")):
        api = Api(system)
        assert api.ask("PUT", f"tasks/{name}", {"candidate_labels": ["fish", "house"]})[0] == 201
        annotation = {"image": image, "label": "fish", "dataset": name}
        assert api.ask("POST", "annotations", annotation, **{"idempotency-key": name})[0] == 201
    for system, own, others in ((dev, "of-dev", "of-prod"), (prod, "of-prod", "of-dev")):
        api = Api(system)
        assert [task["name"] for task in api.get("tasks")["tasks"]] == [own]
        assert api.ask("GET", f"tasks/{others}")[0] == 404
        assert len(api.get(f"annotations?dataset={own}")["annotations"]) == 1
        assert api.get(f"annotations?dataset={others}")["annotations"] == []


def keys(system: System, *arguments: str, stage: tuple[str, ...] = ("dev",)) -> str:
    """What `make key` prints."""
    done = operate(system, "keys", *arguments, stage=stage)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_key_that_may_only_ask_is_made_refused_what_it_may_not_rotated_and_revoked(dev: System) -> None:
    def ask(key: str, method: str = "POST", path: str = f"classify?candidate_labels={labels()}") -> tuple[int, Any]:
        body = sample.IMAGE.read_bytes() if path.startswith("classify") else b"{}"
        media_type = "image/png" if path.startswith("classify") else "application/json"
        return dev.send(method, path, body, {"x-api-key": key, "content-type": media_type})

    key = keys(dev, "create", "phone", "--kind", "ask", "--quota-per-day", "100")
    status, answer = ask(key)
    assert (status, answer[0]["label"]) == (200, "fish")
    assert ask(key, "GET", "tasks")[0] == 200
    for method, path in (("POST", "trainings"), ("DELETE", f"annotations?image={'0' * 64}"), ("PUT", "tasks/mine")):
        status, problem = ask(key, method, path)
        assert (status, problem["type"]) == (403, "urn:wordsight:problem:forbidden")
        assert "may ask only, which is POST /classify" in problem["detail"], path
        assert "make key DO=create" in problem["detail"]
    manages = keys(dev, "create", "trainer", "--kind", "manage")
    assert ask(manages, "POST", "trainings")[0] == 404  # says the function, which finds no annotations
    new = keys(dev, "rotate", "phone")
    assert (ask(new)[0], ask(key)[0]) == (200, 403)
    assert "API key is missing or wrong" in ask(key)[1]["detail"]
    keys(dev, "revoke", "phone")
    assert ask(new)[0] == 403
    assert keys(dev, "list").splitlines()[1].split()[:2] == ["trainer", "manage"]
    few = keys(dev, "create", "visitor", "--kind", "ask", "--quota-per-day", "1")
    assert (ask(few)[0], ask(few)[0]) == (200, 429)
    assert "quota" in ask(few)[1]["detail"]


def test_a_promotion_of_one_is_none_of_the_others(dev: System, prod: Prod) -> None:
    s3 = dev.client("s3")
    outputs = dev.client("cloudformation").describe_stacks(StackName="WordsightData-prod")["Stacks"][0]["Outputs"]
    (bucket,) = (each["OutputValue"] for each in outputs if each["OutputKey"] == "ArtifactsBucketName")
    for path in (ROOT / "model/shipped").iterdir():
        content = path.read_bytes()
        if path.name == "wordsight.json":
            content = json.dumps({**json.loads(content), "version": "another"}).encode()
        s3.put_object(Bucket=bucket, Key=f"models/another/{path.name}", Body=content)
    before = dev.classify()[1]["x-model-version"]
    body = {"s3_uri": f"s3://{bucket}/models/another/", "version": "another"}
    assert Api(prod).ask("POST", "models", body, **{"idempotency-key": "another"})[0] == 201
    promoted = operate(dev, "promote", "another")
    assert promoted.returncode == 0, promoted.stdout + promoted.stderr
    assert prod.classify()[1]["x-model-version"] == "another"
    assert dev.classify()[1]["x-model-version"] == before


def test_a_deployment_that_forgets_a_knob_is_stopped_before_it_begins(dev: System, prod: Prod) -> None:
    program = [sys.executable, "-m", "operate.deploy", "prod", *PROD[2:]]
    environment = cdk_environment(dev.settings, os.environ)
    stopped = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert stopped.returncode == 1
    assert "endpoint_instance_type: ml.c7i.xlarge is deployed, this sets ml.g4dn.xlarge" in stopped.stdout
    assert "Nothing was deployed" in stopped.stdout


def test_what_the_second_stages_roles_did_is_on_record(dev: System, prod: Prod) -> None:
    calls.check(calls.calls_of(read_decisions(dev.settings.decisions), dev.client("cloudformation"), "prod"))


def test_no_role_of_one_stage_touched_anything_of_the_other(dev: System, prod: Prod) -> None:
    stacks = dev.client("cloudformation")
    names = {
        stage: [
            each["PhysicalResourceId"].rpartition(":")[2]
            for part in ("Data", "Training", "Serving", "Api")
            for each in stacks.describe_stack_resources(StackName=f"Wordsight{part}-{stage}")["StackResources"]
            if each["ResourceType"] in ("AWS::S3::Bucket", "AWS::Lambda::Function", "AWS::SageMaker::Endpoint")
        ]
        for stage in ("dev", "prod")
    }
    for stage, other in (("dev", "prod"), ("prod", "dev")):
        asked = [each for each in read_decisions(dev.settings.decisions) if f"-{stage}-" in each.role]
        assert asked
        assert [each for each in asked if any(name.split("/")[-1] in each.resource for name in names[other])] == []


def test_the_second_stage_goes_and_the_first_one_does_not_notice(dev: System, prod: Prod) -> None:
    listed = keys(dev, "list")
    keys(dev, "create", "trainer", "--kind", "manage", stage=("prod", *PROD))
    destroyed = operate(dev, "destroy", "--yes")
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert "revoked key trainer" in destroyed.stdout
    assert "trainer" in listed and keys(dev, "list") == listed
    assert not [each for each in dev.client("apigateway").get_api_keys()["items"] if "prod" in each["name"]]
    assert not [each for each in dev.client("apigateway").get_usage_plans()["items"] if "prod" in each["name"]]
    assert dev.classify()[0][0]["label"] == "fish"
    assert [task["name"] for task in Api(dev).get("tasks")["tasks"]] == ["of-dev"]
    with pytest.raises(ClientError, match="Could not find endpoint"):
        dev.client("sagemaker").describe_endpoint(EndpointName="wordsight-prod")
    names = [group["logGroupName"] for group in dev.client("logs").describe_log_groups()["logGroups"]]
    assert [name for name in names if "-prod" in name] == []
    assert [name for name in names if "-dev" in name] != []
