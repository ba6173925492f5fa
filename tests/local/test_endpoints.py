import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.containers import Images
from local.endpoints import Endpoints
from local.sagemaker import ApiError
from tests.local.conftest import IMAGE, Generous
from tests.local.emulated import ROLE


@pytest.fixture
def endpoints(tmp_path: Path, images: Images, permissions: Generous) -> Iterator[Endpoints]:
    endpoints = Endpoints(tmp_path / "programs", images, permissions)
    yield endpoints
    endpoints.stop_all()


def configure(endpoints: Endpoints, name: str, data_uri: str = "", **environment: str) -> None:
    """A model and an endpoint configuration of that name."""
    container: dict[str, Any] = {"Image": IMAGE, "Environment": environment}
    if data_uri:
        source = {"S3Uri": data_uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
        container["ModelDataSource"] = {"S3DataSource": source}
    endpoints.create_model({"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": ROLE})
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 1}
    endpoints.create_endpoint_config({"EndpointConfigName": name, "ProductionVariants": [variant]})


def request(config: str) -> dict[str, str]:
    return {"EndpointName": "clip", "EndpointConfigName": config}


def seen(endpoints: Endpoints, **headers: str) -> Any:
    """What the container behind the endpoint says it sees."""
    return json.loads(endpoints.invoke("clip", b"x", headers).body)


def test_an_endpoint_runs_the_images_program_with_the_models_environment_and_data(
    endpoints: Endpoints, s3: Any
) -> None:
    s3.put_object(Bucket="bucket", Key="models/one/config.json", Body=b"{}")
    configure(endpoints, "one", "s3://bucket/models/one/", MODEL_WORKERS="3")
    endpoints.create_endpoint(request("one"))
    description = endpoints.settle("clip")
    assert (description["EndpointStatus"], description["EndpointConfigName"]) == ("InService", "one")
    container = seen(endpoints)
    assert container["model"] == ["config.json"]
    environment = container["environment"]
    assert (environment["MODEL_WORKERS"], environment["GREETING"]) == ("3", "hello there")
    assert environment["BASE_MODEL_DIR"].endswith("/shipped")
    assert not [name for name in environment if name.startswith("AWS_")]


def test_an_invocation_carries_custom_attributes_both_ways_and_no_other_header(endpoints: Endpoints) -> None:
    configure(endpoints, "one")
    endpoints.create_endpoint(request("one"))
    endpoints.settle("clip")
    answer = endpoints.invoke("clip", b"x", {"x-amzn-sagemaker-custom-attributes": "id=1", "x-secret": "2"})
    headers = json.loads(answer.body)["headers"]
    assert headers["x-amzn-sagemaker-custom-attributes"] == "id=1"
    assert "x-secret" not in headers
    assert answer.headers["x-amzn-sagemaker-custom-attributes"].startswith("process=")


def test_the_containers_own_refusal_is_a_model_error_with_its_status_and_text(endpoints: Endpoints) -> None:
    configure(endpoints, "one")
    endpoints.create_endpoint(request("one"))
    endpoints.settle("clip")
    with pytest.raises(ApiError, match="not an image") as refusal:
        endpoints.invoke("clip", b"refuse", {})
    assert (refusal.value.status, refusal.value.code) == (424, "ModelError")
    assert refusal.value.members == {"OriginalStatusCode": 422, "OriginalMessage": "not an image"}


def test_a_container_that_dies_is_started_again_whatever_was_synthesized_since(
    endpoints: Endpoints, cloud_assembly: Path
) -> None:
    configure(endpoints, "one")
    endpoints.create_endpoint(request("one"))
    endpoints.settle("clip")
    forget_images(cloud_assembly)
    assert instances(endpoints) == 1
    with pytest.raises(ApiError, match="connection to the container broke"):
        endpoints.invoke("clip", b"die", {})
    assert instances(endpoints) == 0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            assert_alive(endpoints)
            assert instances(endpoints) == 1
            return
        except ApiError:
            time.sleep(0.1)
    pytest.fail("the container did not come back")


def instances(endpoints: Endpoints) -> int:
    """How many answer, as DescribeEndpoint says."""
    (variant,) = endpoints.describe_endpoint({"EndpointName": "clip"})["ProductionVariants"]
    count: int = variant["CurrentInstanceCount"]
    return count


def forget_images(cloud_assembly: Path) -> None:
    """As a synth does that stages other images: their contexts stay, the manifest names only the new ones."""
    (cloud_assembly / "Stack.assets.json").write_text("{}")


def assert_alive(endpoints: Endpoints) -> None:
    assert seen(endpoints)["model"] == []


def test_an_update_replaces_the_container_and_ends_the_old_one(endpoints: Endpoints, tmp_path: Path) -> None:
    configure(endpoints, "one")
    configure(endpoints, "two", COLOUR="green")
    endpoints.create_endpoint(request("one"))
    endpoints.settle("clip")
    old = int(endpoints.invoke("clip", b"x", {}).headers["x-amzn-sagemaker-custom-attributes"].removeprefix("process="))
    endpoints.update_endpoint(request("two"))
    assert endpoints.settle("clip")["EndpointConfigName"] == "two"
    assert seen(endpoints)["environment"]["COLOUR"] == "green"
    with pytest.raises(ProcessLookupError):
        os.kill(old, signal.SIGTERM)
    assert len(list((tmp_path / "programs").iterdir())) == 1


def test_a_request_that_an_update_meets_is_answered(endpoints: Endpoints, tmp_path: Path) -> None:
    configure(endpoints, "one")
    configure(endpoints, "two")
    endpoints.create_endpoint(request("one"))
    endpoints.settle("clip")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(endpoints.invoke, "clip", b"slow", {})
        deadline = time.monotonic() + 30
        while not (tmp_path / "programs/clip-1/asked").exists():
            assert time.monotonic() < deadline, "the container was not asked"
        endpoints.update_endpoint(request("two"))
        assert slow.result().status == 200
    assert endpoints.settle("clip")["EndpointConfigName"] == "two"


def test_a_failed_update_names_the_containers_last_words_and_keeps_the_old_one_answering(endpoints: Endpoints) -> None:
    configure(endpoints, "one")
    configure(endpoints, "broken", REFUSE_TO_START="1")
    endpoints.create_endpoint(request("one"))
    endpoints.settle("clip")
    endpoints.update_endpoint(request("broken"))
    description = endpoints.settle("clip")
    assert (description["EndpointStatus"], description["EndpointConfigName"]) == ("InService", "one")
    assert "this container refuses to start" in description["FailureReason"]
    assert_alive(endpoints)


def test_the_last_error_of_a_program_that_logs_json_is_the_reason(endpoints: Endpoints) -> None:
    configure(endpoints, "broken", LOG_AND_REFUSE="1")
    endpoints.create_endpoint(request("broken"))
    assert endpoints.settle("clip")["FailureReason"].endswith("ended with code 1): no such weights")


def test_an_endpoint_whose_first_container_fails_is_failed(endpoints: Endpoints) -> None:
    configure(endpoints, "broken", REFUSE_TO_START="1")
    endpoints.create_endpoint(request("broken"))
    assert endpoints.settle("clip")["EndpointStatus"] == "Failed"
    with pytest.raises(ApiError, match="not found"):
        endpoints.invoke("clip", b"x", {})


def test_an_endpoint_whose_image_or_model_is_gone_is_failed_and_says_so(
    endpoints: Endpoints, cloud_assembly: Path
) -> None:
    configure(endpoints, "one")
    configure(endpoints, "two")
    endpoints.create_endpoint(request("one"))
    endpoints.settle("clip")
    endpoints.models.remove("two")
    endpoints.update_endpoint(request("two"))
    description = endpoints.settle("clip")
    assert (description["EndpointStatus"], description["EndpointConfigName"]) == ("InService", "one")
    assert "Could not find model" in description["FailureReason"]
    forget_images(cloud_assembly)
    endpoints.create_endpoint({**request("one"), "EndpointName": "second"})
    second = endpoints.settle("second")
    assert (second["EndpointStatus"], IMAGE in second["FailureReason"]) == ("Failed", True)


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [("s3://bucket/models/none/", "Could not find model data"), ("s3://bucket/models/one", "must end with a slash")],
)
def test_a_model_without_its_data_is_refused_as_sagemaker_does(endpoints: Endpoints, uri: str, sentence: str) -> None:
    with pytest.raises(ApiError, match=sentence):
        configure(endpoints, "one", uri)


def test_what_a_container_prints_reaches_the_log_group_of_its_endpoint(
    endpoints: Endpoints, log_lines: list[str]
) -> None:
    configure(endpoints, "broken", REFUSE_TO_START="1")
    endpoints.create_endpoint(request("broken"))
    endpoints.settle("clip")
    deadline = time.monotonic() + 10
    while not log_lines and time.monotonic() < deadline:
        time.sleep(0.05)
    assert log_lines == ["/aws/sagemaker/Endpoints/clip AllTraffic/clip-1: this container refuses to start"]
