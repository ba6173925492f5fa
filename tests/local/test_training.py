import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from local.containers import Images
from local.sagemaker import ApiError, Record
from local.training import Metrics, TrainingJobs
from tests.local.conftest import IMAGE, Generous
from tests.local.emulated import wait_for

pytestmark = pytest.mark.slow

LOSS = {"Name": "train:loss", "Regex": r" loss=(\S+)"}


@pytest.fixture
def jobs(tmp_path: Path, images: Images, s3: Any, permissions: Generous) -> TrainingJobs:
    s3.put_object(Bucket="bucket", Key="sets/one/images/cat.png", Body=b"cat")
    return TrainingJobs(tmp_path / "programs", images, permissions)


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


def channel(uri: str, data_type: str = "S3Prefix") -> Record:
    return {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3DataType": data_type, "S3Uri": uri}}}


def manifest_channel(s3: Any, *names: str) -> Record:
    """A channel of exactly these objects of the set."""
    s3.put_object(Bucket="bucket", Key="list", Body=json.dumps([{"prefix": "s3://bucket/sets/one/"}, *names]))
    return channel("s3://bucket/list", "ManifestFile")


def result_of(s3: Any, name: str) -> Any:
    return json.load(s3.get_object(Bucket="bucket", Key=f"models/{name}/output/model/result.json")["Body"])


def statuses(job: Record) -> list[str]:
    return [transition["Status"] for transition in job["SecondaryStatusTransitions"]]


def keys(s3: Any, prefix: str) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", [])]


def test_a_job_turns_its_channel_into_an_uncompressed_artifact(jobs: TrainingJobs, s3: Any) -> None:
    job = jobs.run(request("one"))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": "s3://bucket/models/one/output/model"}
    assert result_of(s3, "one") == {"step": 1, "images": ["images/cat.png"]}


def test_a_second_job_goes_on_from_the_checkpoint_of_the_first(jobs: TrainingJobs, s3: Any) -> None:
    jobs.run(request("one"))
    assert keys(s3, "checkpoints/") == ["checkpoints/one/step"]
    jobs.run(request("two"))
    assert result_of(s3, "two")["step"] == 2


def test_a_manifest_brings_the_objects_that_it_lists_and_no_other(jobs: TrainingJobs, s3: Any) -> None:
    s3.put_object(Bucket="bucket", Key="sets/one/images/dog.png", Body=b"dog")
    s3.put_object(Bucket="bucket", Key="sets/one/lines.jsonl", Body=b"{}")
    listed = manifest_channel(s3, "images/dog.png", "lines.jsonl")
    jobs.run(request("one", InputDataConfig=[listed]))
    assert result_of(s3, "one")["images"] == ["images/dog.png", "lines.jsonl"]


def test_a_manifest_with_an_object_that_is_not_there_fails_by_naming_it(jobs: TrainingJobs, s3: Any) -> None:
    job = jobs.run(request("one", InputDataConfig=[manifest_channel(s3, "images/cow.png")]))
    assert job["TrainingJobStatus"] == "Failed"
    assert "s3://bucket/sets/one/images/cow.png cannot be read" in job["FailureReason"]


def test_what_is_no_manifest_fails_by_saying_what_one_is(jobs: TrainingJobs, s3: Any) -> None:
    wrong = channel("s3://bucket/sets/one/images/", "ManifestFile")
    wrong["DataSource"]["S3DataSource"]["S3Uri"] = "s3://bucket/sets/one/manifest"
    s3.put_object(Bucket="bucket", Key="sets/one/manifest", Body=b'["images/cat.png"]')
    job = jobs.run(request("one", InputDataConfig=[wrong]))
    assert 'it must be [{"prefix": "s3://…"}, "key", …]' in job["FailureReason"]


def test_the_log_gives_the_metrics_that_the_job_defines(jobs: TrainingJobs) -> None:
    wanted = request("one")
    wanted["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "train:step", "Regex": r"step=(\S+)"}]
    (metric,) = jobs.run(wanted)["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("train:step", 1.0)


def test_every_secondary_status_ends_when_the_next_begins(jobs: TrainingJobs) -> None:
    job = jobs.run(request("one"))
    assert statuses(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    transitions = job["SecondaryStatusTransitions"]
    ends = [transition["EndTime"] for transition in transitions[:-1]]
    assert ends == [transition["StartTime"] for transition in transitions[1:]]
    assert "EndTime" not in transitions[-1]


def kill_once_it_has_a_checkpoint(s3: Any, directory: Path, name: str) -> None:
    wait_for(lambda: bool(keys(s3, "checkpoints/")))
    os.kill(int((directory / "programs" / name / "pid").read_text()), signal.SIGKILL)


def test_a_killed_program_fails_its_job(jobs: TrainingJobs, s3: Any, tmp_path: Path) -> None:
    jobs.create(request("one", HyperParameters={"seconds": "60"}))
    kill_once_it_has_a_checkpoint(s3, tmp_path, "one")
    wait_for(lambda: "FailureReason" in jobs.describe({"TrainingJobName": "one"}))
    job = jobs.describe({"TrainingJobName": "one"})
    assert job["FailureReason"].endswith("exit code: 137")


def test_a_killed_spot_job_goes_on_from_its_checkpoint_on_an_empty_disk(
    jobs: TrainingJobs, s3: Any, tmp_path: Path
) -> None:
    limits = {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 3600}
    spot = {"EnableManagedSpotTraining": True, "StoppingCondition": limits}
    jobs.create(request("one", HyperParameters={"seconds": "60"}, **spot))
    left = tmp_path / "programs/one/output/failure"
    wait_for(lambda: left.parent.exists())
    left.write_text("of the first instance")
    kill_once_it_has_a_checkpoint(s3, tmp_path, "one")
    wait_for(lambda: "TrainingEndTime" in jobs.describe({"TrainingJobName": "one"}))
    job = jobs.describe({"TrainingJobName": "one"})
    first, second = statuses(job)[:3], statuses(job)[3:]
    assert first == ["Starting", "Downloading", "Training"]
    assert second == ["Interrupted", "Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert result_of(s3, "one")["step"] == 2
    assert not left.exists()


@pytest.mark.parametrize(
    ("spot", "limits"), [(True, {}), (True, {"MaxWaitTimeInSeconds": 60}), (False, {"MaxWaitTimeInSeconds": 9000})]
)
def test_the_time_to_wait_belongs_to_spot_jobs(jobs: TrainingJobs, spot: bool, limits: Record) -> None:
    condition = {"MaxRuntimeInSeconds": 3600, **limits}
    with pytest.raises(ApiError, match="MaxWaitTimeInSeconds"):
        jobs.create(request("one", EnableManagedSpotTraining=spot, StoppingCondition=condition))


def test_a_job_that_is_no_longer_wanted_is_stopped(jobs: TrainingJobs, s3: Any) -> None:
    lasting = request("one", HyperParameters={"seconds": "60"})
    job = jobs.run(lasting, is_wanted=lambda: not keys(s3, "checkpoints/"))
    assert job["TrainingJobStatus"] == "Stopped"
    assert keys(s3, "checkpoints/") == ["checkpoints/one/step"]


def test_a_failed_job_says_what_the_program_wrote_for_its_caller(jobs: TrainingJobs, s3: Any) -> None:
    job = jobs.run(request("one", HyperParameters={"fail": "yes"}))
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: the data is no good, exit code: 1"
    assert not keys(s3, "models/")


def test_a_job_without_data_fails_by_naming_the_channel(jobs: TrainingJobs) -> None:
    job = jobs.run(request("one", InputDataConfig=[channel("s3://bucket/sets/none/")]))
    assert job["FailureReason"] == "ClientError: No S3 objects found under s3://bucket/sets/none/ (channel train)"


def test_a_stopped_job_keeps_its_checkpoint_and_its_model(jobs: TrainingJobs, s3: Any) -> None:
    jobs.create(request("one", HyperParameters={"seconds": "60"}))
    wait_for(lambda: bool(keys(s3, "checkpoints/")))
    jobs.stop({"TrainingJobName": "one"})
    wait_for(lambda: "TrainingEndTime" in jobs.describe({"TrainingJobName": "one"}))
    assert jobs.describe({"TrainingJobName": "one"})["TrainingJobStatus"] == "Stopped"
    assert keys(s3, "models/one/") == ["models/one/output/model/result.json"]


def test_a_job_that_has_ended_cannot_be_stopped(jobs: TrainingJobs) -> None:
    jobs.run(request("one"))
    with pytest.raises(ApiError, match="rejected because the training job is in status Completed"):
        jobs.stop({"TrainingJobName": "one"})
    jobs.stop_all()
    assert jobs.describe({"TrainingJobName": "one"})["TrainingJobStatus"] == "Completed"


def test_a_job_that_runs_too_long_is_stopped(jobs: TrainingJobs) -> None:
    limited = request("one", HyperParameters={"seconds": "60"}, StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = jobs.run(limited)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_request_that_sagemaker_would_refuse_is_refused(jobs: TrainingJobs) -> None:
    with pytest.raises(ApiError, match="EpochCount"):
        jobs.create(request("one", HyperParameters={"epochs": "1"}, EpochCount=3))
    with pytest.raises(ApiError, match=r"HyperParameters\.epochs.*str"):
        jobs.create(request("one", HyperParameters={"epochs": 1}))


def test_metrics_that_cannot_be_read_are_refused(jobs: TrainingJobs) -> None:
    for regex in ("step=(", "step="):
        wanted = request("one")
        wanted["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "train:step", "Regex": regex}]
        with pytest.raises(ApiError, match="metric train:step"):
            jobs.create(wanted)


def test_an_image_that_is_not_the_apps_is_refused(jobs: TrainingJobs) -> None:
    with pytest.raises(ApiError, match="No build context for elsewhere:1"):
        jobs.create(
            request("one", AlgorithmSpecification={"TrainingImage": "elsewhere:1", "TrainingInputMode": "File"})
        )


def test_a_name_is_used_once(jobs: TrainingJobs) -> None:
    jobs.run(request("one"))
    with pytest.raises(ApiError, match="names are unique"):
        jobs.create(request("one"))


def test_what_the_program_prints_reaches_the_jobs_log_stream(jobs: TrainingJobs, log_lines: list[str]) -> None:
    jobs.run(request("one"))
    wait_for(lambda: log_lines == ["/aws/sagemaker/TrainingJobs one/algo-1: step=1"])


def values(metrics: Metrics) -> dict[str, float]:
    return {metric["MetricName"]: metric["Value"] for metric in metrics.final}


def test_a_metric_has_its_newest_value() -> None:
    metrics = Metrics([LOSS, {"Name": "step", "Regex": r"step=(\d+)"}])
    metrics.read(["step=10 loss=2.5", "nothing of it"])
    metrics.read(["step=20 loss=1.5 validation_loss=9"])
    assert values(metrics) == {"train:loss": 1.5, "step": 20.0}


def test_a_metric_that_was_never_printed_is_not_listed() -> None:
    metrics = Metrics([LOSS])
    metrics.read(["step=10"])
    assert values(metrics) == {}


def test_what_is_no_number_is_passed_over() -> None:
    metrics = Metrics([LOSS])
    metrics.read([" loss=0.5", " loss=unknown", " loss=nan"])
    assert values(metrics) == {"train:loss": 0.5}


def test_the_first_group_is_the_value() -> None:
    metrics = Metrics([{"Name": "loss", "Regex": r"loss=(\S+) of (\S+)"}])
    metrics.read(["loss=3 of 4"])
    assert values(metrics) == {"loss": 3.0}


@pytest.mark.parametrize(("regex", "reason"), [("loss=(", "missing"), ("loss=", "no group")])
def test_an_expression_that_cannot_be_used_is_refused(regex: str, reason: str) -> None:
    with pytest.raises(ApiError, match=reason):
        Metrics([{"Name": "loss", "Regex": regex}])


def test_jobs_are_listed_by_a_part_of_their_name_the_newest_first(jobs: TrainingJobs) -> None:
    for name in ("wordsight-dev-1", "wordsight-prod-1", "wordsight-dev-2"):
        jobs.run(request(name))
    listed = jobs.list({"NameContains": "wordsight-dev-"})["TrainingJobSummaries"]
    assert [job["TrainingJobName"] for job in listed] == ["wordsight-dev-2", "wordsight-dev-1"]
    assert {job["TrainingJobStatus"] for job in listed} == {"Completed"}
