"""A stage moves to a Lambda function in the endpoint's place and back by one flag, and is changed there. What callers
see of either is tests/e2e/test_api.py's, and what tasks learn tests/e2e/test_teach.py's.

The tests share one system, in their order.
"""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import sample
from tests.e2e.loop import JSON_HEADERS, Api
from tests.e2e.system import TIERS, System, deployed, labels
from tests.local.conftest import ROOT

pytestmark = pytest.mark.slow

TIMEOUT_S = 120
NAME = "wordsight-dev"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with deployed(tmp_path_factory.mktemp("tier") / "local") as system:
        yield system


@pytest.fixture(scope="module")
def of_endpoint(system: System) -> Any:
    """What the stage answers with instances, and what it keeps from then on: a task and an annotated image."""
    api = Api(system)
    assert api.ask("PUT", "tasks/kept", {"candidate_labels": ["fish", "house"]})[0] == 201
    annotation = {"image": base64.b64encode(sample.IMAGE.read_bytes()).decode(), "label": "fish", "task": "kept"}
    assert api.ask("POST", "annotations", annotation, **{"idempotency-key": "kept"})[0] == 201
    return system.url, system.api_key, scores(system)


@pytest.fixture(scope="module")
def by_function(system: System, of_endpoint: Any) -> System:
    """The same stage without instances."""
    moved = system.run("up", *TIERS["function"])
    assert moved.returncode == 0, moved.stdout + moved.stderr
    return system


def scores(system: System) -> dict[str, float]:
    return {each["label"]: each["score"] for each in system.classify()[0]}


def is_there(system: System, kind: str) -> bool:
    """Whether the stage has an endpoint, or a function in its place."""
    try:
        if kind == "endpoint":
            system.client("sagemaker").describe_endpoint(EndpointName=NAME)
        else:
            system.client("lambda").get_function_configuration(FunctionName=NAME)
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("ResourceNotFoundException", "ValidationException"), error
        return False
    return True


def is_kept(system: System, of_endpoint: Any) -> None:
    """Raises AssertionError if a move has changed the address, or lost what was kept."""
    api = Api(system)
    assert (system.url, system.api_key) == of_endpoint[:2]
    assert "kept" in [task["name"] for task in api.get("tasks")["tasks"]]
    assert [each["label"] for each in api.get("annotations")["annotations"]] == ["fish"]


def test_one_flag_moves_the_stage_to_a_function_which_answers_what_the_endpoint_did(
    by_function: System, of_endpoint: Any
) -> None:
    assert is_there(by_function, "function") and not is_there(by_function, "endpoint")
    is_kept(by_function, of_endpoint)
    assert scores(by_function) == pytest.approx(of_endpoint[2], abs=1e-3)
    _, headers = by_function.classify()
    assert headers["x-model-version"] and "model" in headers["server-timing"]
    status, health = by_function.send("GET", "health", b"", {})
    assert (status, health["status"], health["endpoint"]) == (200, "InService", NAME) and health["knows"]
    endpoint = Api(by_function).get("endpoint")
    assert (endpoint["state"], endpoint["usd_per_hour"], endpoint["version"]) == ("in service", 0, "base")
    assert Api(by_function).get("models/base")["knows"]
    shown = by_function.run("status")
    assert shown.returncode == 0 and f"{NAME}  InService" in shown.stdout, shown.stdout


def test_whoever_else_asks_the_model_asks_the_function(by_function: System) -> None:
    """Annotations, an import and a batch."""
    api, image = Api(by_function), sample.IMAGE.read_bytes()
    annotation = {"image": base64.b64encode(image).decode(), "label": "house", "dataset": "other"}
    status, annotated = api.ask("POST", "annotations", annotation, **{"idempotency-key": "by-function"})
    assert status == 201, annotated
    s3, bucket = by_function.client("s3"), by_function.output("DataBucketName")
    for label in sample.LABELS[:2]:
        s3.put_object(Bucket=bucket, Key=f"uploads/set/{label}/picture.png", Body=image)
    begun = api.begin("annotations/imports", {"s3_prefix": "uploads/set/", "dataset": "other"})
    imported = api.wait(f"annotations/imports/{begun['id']}", lambda found: found["state"] != "running", TIMEOUT_S)
    assert (imported["state"], imported["problems"]) == ("done", []), imported
    asked = {"s3_prefix": "uploads/set/", "parameters": {"candidate_labels": list(sample.LABELS)}}
    begun = api.begin("batches", asked)
    batch = api.wait(f"batches/{begun['id']}", lambda found: found["state"] not in ("planning", "running"), TIMEOUT_S)
    assert (batch["state"], batch["results"]) == ("done", 2), batch


def test_a_version_is_promoted_and_a_broken_one_is_not(by_function: System) -> None:
    api, s3, bucket = Api(by_function), by_function.client("s3"), by_function.output("ArtifactsBucketName")
    for path in (ROOT / "model/shipped").iterdir():
        content = path.read_bytes()
        if path.name == "wordsight.json":
            content = json.dumps({**json.loads(content), "version": "another"}).encode()
        for version in ("another", "broken"):
            s3.put_object(Bucket=bucket, Key=f"models/{version}/{path.name}", Body=content)
    for version in ("another", "broken"):
        body = {"s3_uri": f"s3://{bucket}/models/{version}/", "version": version}
        assert api.ask("POST", "models", body, **{"idempotency-key": version})[0] == 201
    promoted = api.promote("another", TIMEOUT_S)
    assert promoted["state"] == "live", promoted
    assert by_function.classify()[1]["x-model-version"] == "another"
    s3.put_object(Bucket=bucket, Key="models/broken/model.safetensors", Body=b"cut")
    failed = api.promote("broken", TIMEOUT_S)
    assert failed["state"] == "failed" and "the previous model was brought back" in failed["reason"], failed
    assert by_function.classify()[1]["x-model-version"] == "another"


def test_a_paused_stage_has_no_function_and_comes_back_with_the_same_version(by_function: System) -> None:
    api = Api(by_function)
    while (asked := by_function.send("POST", "endpoint/pause", b"", JSON_HEADERS))[0] == 409:
        assert "the promotion" in asked[1]["detail"], "which has ended, but for its execution"
        time.sleep(0.5)
    paused = api.wait("endpoint", lambda found: found["state"] == "paused", TIMEOUT_S)
    assert paused["version"] == "another" and not is_there(by_function, "function")
    question = f"classify?candidate_labels={labels()}"
    status, problem = by_function.send("POST", question, sample.IMAGE.read_bytes(), {"content-type": "image/png"})
    assert (status, problem["state"]) == (503, "paused") and "the stage is paused since" in problem["detail"]
    api.begin("endpoint/resume")
    resumed = api.wait("endpoint", lambda found: found["change"]["state"] in ("in service", "failed"), TIMEOUT_S)
    assert (resumed["state"], resumed["change"]["state"]) == ("in service", "in service"), resumed
    assert by_function.classify()[1]["x-model-version"] == "another"


def test_it_moves_back_with_what_is_live(by_function: System, of_endpoint: Any) -> None:
    moved = by_function.run("up")
    assert moved.returncode == 0, moved.stdout + moved.stderr
    assert is_there(by_function, "endpoint") and not is_there(by_function, "function")
    is_kept(by_function, of_endpoint)
    assert by_function.classify()[1]["x-model-version"] == "another"
    assert scores(by_function) == pytest.approx(of_endpoint[2], abs=1e-3)
