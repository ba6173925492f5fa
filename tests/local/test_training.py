import json
import time
from pathlib import Path
from typing import Any

import pytest

from local.api import ApiError, Record
from local.containers import Images
from local.sagemaker import SageMaker
from tests.local.conftest import IMAGE

WAIT_S = 60


@pytest.fixture
def sagemaker(tmp_path: Path, images: Images, s3: Any) -> SageMaker:
    s3.put_object(Bucket="bucket", Key="sets/one/images/cat.png", Body=b"cat")
    return SageMaker(tmp_path / "programs", images, s3)


def request(name: str, **changes: Any) -> Record:
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::000000000000:role/training",
        "HyperParameters": {},
        "InputDataConfig": [channel("s3://bucket/sets/one/")],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/models/", "CompressionType": "NONE"},
        "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints/one/"},
        "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 50},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **changes,
    }


def channel(uri: str) -> Record:
    return {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}


def keys(s3: Any, prefix: str) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", [])]


def test_a_job_turns_its_channel_into_an_uncompressed_artifact(sagemaker: SageMaker, s3: Any) -> None:
    job = sagemaker.run_training_job(request("one"))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": "s3://bucket/models/one/output/model"}
    result = json.load(s3.get_object(Bucket="bucket", Key="models/one/output/model/result.json")["Body"])
    assert result == {"step": 1, "images": ["cat.png"]}


def test_a_second_job_goes_on_from_the_checkpoint_of_the_first(sagemaker: SageMaker, s3: Any) -> None:
    sagemaker.run_training_job(request("one"))
    assert keys(s3, "checkpoints/") == ["checkpoints/one/step"]
    sagemaker.run_training_job(request("two"))
    result = json.load(s3.get_object(Bucket="bucket", Key="models/two/output/model/result.json")["Body"])
    assert result["step"] == 2


def test_a_failed_job_says_what_the_program_wrote_for_its_caller(sagemaker: SageMaker, s3: Any) -> None:
    job = sagemaker.run_training_job(request("one", HyperParameters={"fail": "yes"}))
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: the data is no good, exit code: 1"
    assert not keys(s3, "models/")


def test_a_job_without_data_fails_by_naming_the_channel(sagemaker: SageMaker) -> None:
    job = sagemaker.run_training_job(request("one", InputDataConfig=[channel("s3://bucket/sets/none/")]))
    assert job["FailureReason"] == "ClientError: No S3 objects found under s3://bucket/sets/none/ (channel train)"


def test_a_stopped_job_keeps_its_checkpoint_and_its_model(sagemaker: SageMaker, s3: Any) -> None:
    sagemaker.create_training_job(request("one", HyperParameters={"seconds": "60"}))
    wait_for(lambda: bool(keys(s3, "checkpoints/")))
    sagemaker.stop_training_job({"TrainingJobName": "one"})
    wait_for(lambda: "TrainingEndTime" in sagemaker.describe_training_job({"TrainingJobName": "one"}))
    assert sagemaker.describe_training_job({"TrainingJobName": "one"})["TrainingJobStatus"] == "Stopped"
    assert keys(s3, "models/one/") == ["models/one/output/model/result.json"]


def test_a_job_that_has_ended_cannot_be_stopped(sagemaker: SageMaker) -> None:
    sagemaker.run_training_job(request("one"))
    with pytest.raises(ApiError, match="rejected because the training job is in status Completed"):
        sagemaker.stop_training_job({"TrainingJobName": "one"})
    sagemaker.stop_all()
    assert sagemaker.describe_training_job({"TrainingJobName": "one"})["TrainingJobStatus"] == "Completed"


def test_a_job_that_runs_too_long_is_stopped(sagemaker: SageMaker) -> None:
    limited = request("one", HyperParameters={"seconds": "60"}, StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = sagemaker.run_training_job(limited)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_request_that_sagemaker_would_refuse_is_refused(sagemaker: SageMaker) -> None:
    with pytest.raises(ApiError, match="EpochCount"):
        sagemaker.create_training_job(request("one", HyperParameters={"epochs": "1"}, EpochCount=3))
    with pytest.raises(ApiError, match=r"HyperParameters\.epochs.*str"):
        sagemaker.create_training_job(request("one", HyperParameters={"epochs": 1}))


def test_a_name_is_used_once(sagemaker: SageMaker) -> None:
    sagemaker.run_training_job(request("one"))
    with pytest.raises(ApiError, match="names are unique"):
        sagemaker.create_training_job(request("one"))


def test_what_the_program_prints_reaches_the_jobs_log_stream(sagemaker: SageMaker, log_lines: list[str]) -> None:
    sagemaker.run_training_job(request("one"))
    wait_for(lambda: log_lines == ["/aws/sagemaker/TrainingJobs one/algo-1: step=1"])


def wait_for(happened: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
