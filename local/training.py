"""Training jobs: channels come down, the `train` program runs and is listened to, checkpoints and the model go up."""

import contextlib
import json
import math
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import botocore.session
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from botocore.validate import ParamValidator

from local.containers import ROOT, Container, Images, Program
from local.permissions import Denied, Permissions, container_facts
from local.s3 import S3Client, Upload, download_manifest, download_prefix
from local.sagemaker import ApiError, Record, arn

LOG_GROUP = METRIC_NAMESPACE = "/aws/sagemaker/TrainingJobs"
CHECKPOINT_SYNC_S = 2
WANTED_POLL_S = 0.5
STOP_GRACE_S = 120
"""What SageMaker gives a program between SIGTERM and SIGKILL."""

DEFAULT_MAX_RUNTIME_S = 86_400

MAX_INTERRUPTIONS = 5
"""SageMaker knows a spot instance taken back from a program killed for its memory; here, so many are believed."""


class TrainingJobs:
    """An account's training jobs. Their containers get their folders under `directory`."""

    def __init__(self, directory: Path, images: Images, permissions: Permissions) -> None:
        self._directory, self._images, self._permissions = directory, images, permissions
        self._jobs: dict[str, TrainingJob] = {}

    def create(self, request: Record) -> Record:
        """CreateTrainingJob. Refuses what SageMaker would."""
        _validate(request)
        name = request["TrainingJobName"]
        if name in self._jobs:
            raise ApiError(f"There is a training job named {name} already; names are unique.", "ResourceInUse")
        if request["OutputDataConfig"].get("CompressionType") != "NONE":
            raise ApiError("Local mode writes artifacts only with CompressionType NONE.")
        image, role = request["AlgorithmSpecification"]["TrainingImage"], request["RoleArn"]
        program, s3 = self._images.find(image), self._permissions.s3(role)
        known = container_facts(image, LOG_GROUP, f"{name}/algo-1", METRIC_NAMESPACE)
        try:
            self._permissions.imply("a container starts", role, **known)
        except Denied as denied:
            raise ApiError(str(denied), "AccessDeniedException") from None
        job = self._jobs[name] = TrainingJob(request, self._images, program, self._directory / name, s3)
        threading.Thread(target=job.run, daemon=True).start()
        return {"TrainingJobArn": arn("training-job", name)}

    def run(self, request: Record, is_wanted: Callable[[], bool] = lambda: True) -> Record:
        """CreateTrainingJob, and its description once it has ended. A job that is no longer wanted is stopped."""
        self.create(request)
        job = self._jobs[request["TrainingJobName"]]
        while not job.finished.wait(WANTED_POLL_S):
            if not is_wanted():
                with contextlib.suppress(ApiError):  # it ended this moment
                    job.stop()
        return job.describe()

    def describe(self, request: Record) -> Record:
        """DescribeTrainingJob."""
        return self._find(request).describe()

    def list(self, request: Record) -> Record:
        """ListTrainingJobs, the newest first, all of them in one answer."""
        named = [job.describe() for name, job in self._jobs.items() if request.get("NameContains", "") in name]
        named = [
            job for job in named if request.get("StatusEquals", job["TrainingJobStatus"]) == job["TrainingJobStatus"]
        ]
        members = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingJobStatus")
        return {"TrainingJobSummaries": [{member: job[member] for member in members} for job in reversed(named)]}

    def stop(self, request: Record) -> Record:
        """StopTrainingJob."""
        self._find(request).stop()
        return {}

    def stop_all(self) -> None:
        """End every container, before the emulator itself ends."""
        for job in self._jobs.values():
            with contextlib.suppress(ApiError):  # it has ended
                job.stop()

    def _find(self, request: Record) -> "TrainingJob":
        if request["TrainingJobName"] not in self._jobs:
            raise ApiError("Requested resource not found.")
        return self._jobs[request["TrainingJobName"]]


def _validate(request: Record) -> None:
    """A state machine passes its JSON on unchecked, so the API's own model of the request checks it here, and beside
    it the rule that the model cannot say: a spot job needs MaxWaitTimeInSeconds, and no other may have it.
    """
    model = botocore.session.get_session().get_service_model("sagemaker")
    report = ParamValidator().validate(request, model.operation_model("CreateTrainingJob").input_shape)
    if report.has_errors():
        raise ApiError(report.generate_report())
    spot, limits = request.get("EnableManagedSpotTraining", False), request["StoppingCondition"]
    wait_s = limits.get("MaxWaitTimeInSeconds")
    if spot and (wait_s is None or wait_s < limits.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S)):
        rule = "With EnableManagedSpotTraining it must be MaxRuntimeInSeconds or more."
        raise ApiError(f"MaxWaitTimeInSeconds is {wait_s}. {rule}")
    if wait_s is not None and not spot:
        raise ApiError("MaxWaitTimeInSeconds is for EnableManagedSpotTraining only.")


class TrainingJob:
    """One CreateTrainingJob request and what became of it. Raises ApiError for metrics that cannot be read."""

    def __init__(self, request: Record, images: Images, program: Program, base: Path, s3: S3Client) -> None:
        self._name = request["TrainingJobName"]
        self._record: Record = {
            **request, "TrainingJobArn": arn("training-job", self._name), "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "", "SecondaryStatusTransitions": [], "CreationTime": time.time(),
        }  # fmt: skip
        self._images, self._program, self._base, self._s3 = images, program, base, s3
        self._metrics = Metrics(request["AlgorithmSpecification"].get("MetricDefinitions", []))
        self._changing = threading.RLock()
        self._stop_asked = threading.Event()
        self._interruptions = 0
        self.finished = threading.Event()
        self._enter("Starting")

    def describe(self) -> Record:
        """What DescribeTrainingJob answers."""
        with self._changing:
            return {**self._record, "FinalMetricDataList": self._metrics.final}

    def run(self) -> None:
        """Take the job from Starting to Completed, Failed or Stopped."""
        try:
            while (ending := self._attempt()) == "Interrupted":
                self._interruptions += 1
                self._enter("Interrupted", "The managed spot instance was taken back")
                shutil.rmtree(self._base)
                self._enter("Starting")
            self._enter("Uploading")
            self._upload_results()
            self._enter(ending, TrainingJobStatus="Completed" if ending == "Completed" else "Stopped")
        except (OSError, ValueError, Boto3Error, BotoCoreError, ClientError) as error:
            reason = str(error)[:1024]
            self._enter("Failed", reason, TrainingJobStatus="Failed", FailureReason=reason)
        finally:
            self._change(TrainingEndTime=time.time())
            self.finished.set()

    def stop(self) -> None:
        """The program gets SIGTERM and time for a checkpoint. Raises ApiError if the job has ended."""
        with self._changing:
            status = self._record["TrainingJobStatus"]
            if status not in ("InProgress", "Stopping"):
                raise ApiError(f"The request was rejected because the training job is in status {status}.")
            if not self._stop_asked.is_set():
                self._stop_asked.set()
                self._enter("Stopping", TrainingJobStatus="Stopping")

    def _enter(self, status: str, message: str = "", **members: object) -> None:
        """Begin a secondary status, and with it end the one before."""
        with self._changing:
            now = time.time()
            if transitions := self._record["SecondaryStatusTransitions"]:
                transitions[-1] = {**transitions[-1], "EndTime": now}
            entered = {"Status": status, "StartTime": now, "StatusMessage": message}
            self._change(SecondaryStatus=status, SecondaryStatusTransitions=[*transitions, entered], **members)

    def _change(self, **members: object) -> None:
        with self._changing:
            self._record.update(members, LastModifiedTime=time.time())

    def _attempt(self) -> str:
        """One instance's work, from an empty disk on; returns the secondary status that it led to."""
        self._enter("Downloading")
        self._fill_folders()
        send_checkpoints = self._restore_checkpoints()
        if self._stop_asked.is_set():
            return "Stopped"
        self._enter("Training", TrainingStartTime=self._record.get("TrainingStartTime", time.time()))
        own = {"TRAINING_JOB_NAME": self._name, "TRAINING_JOB_ARN": self._record["TrainingJobArn"]}
        environment, hear = self._record.get("Environment", {}) | own, self._metrics.read
        stream = f"{self._name}/algo-1"
        container = self._images.start(self._program, "train", self._base, environment, LOG_GROUP, stream, hear)
        ending = self._follow(container, send_checkpoints)
        container.wait_for_log()
        return ending

    def _folder(self, container_path: str) -> Path:
        folder = self._base / Path(container_path).relative_to(ROOT)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _fill_folders(self) -> None:
        """The job's configuration and the data of its channels, and folders for its results."""
        for results in ("model", "output/data"):
            self._folder(f"{ROOT}/{results}")
        config = self._folder(f"{ROOT}/input/config")
        channels = {channel["ChannelName"]: channel for channel in self._record.get("InputDataConfig", [])}
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
        (config / "hyperparameters.json").write_text(json.dumps(self._record.get("HyperParameters", {})))
        (config / "inputdataconfig.json").write_text(json.dumps(channels))
        (config / "resourceconfig.json").write_text(json.dumps(hosts))
        for name, channel in channels.items():
            source = channel["DataSource"]["S3DataSource"]
            download = download_manifest if source["S3DataType"] == "ManifestFile" else download_prefix
            if not download(self._s3, source["S3Uri"], self._folder(f"{ROOT}/input/data/{name}")):
                raise FileNotFoundError(f"ClientError: No S3 objects found under {source['S3Uri']} (channel {name})")

    def _follow(self, container: Container, send_checkpoints: Callable[[], None]) -> str:
        """Wait for the program while its checkpoints go up; returns the secondary status that its end means."""
        limit_s = self._record["StoppingCondition"].get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S)
        deadline_s = self._record["TrainingStartTime"] + limit_s
        while container.exit_code is None and not self._stop_asked.is_set() and time.time() < deadline_s:
            container.wait(CHECKPOINT_SYNC_S)
            send_checkpoints()
        if container.exit_code is None:
            container.stop(STOP_GRACE_S)
            send_checkpoints()
            return "Stopped" if self._stop_asked.is_set() else "MaxRuntimeExceeded"
        # A spot instance that is taken back kills the program, and the job goes on with another instance.
        killed = container.exit_code == -signal.SIGKILL and self._interruptions < MAX_INTERRUPTIONS
        if killed and self._record.get("EnableManagedSpotTraining"):
            return "Interrupted"
        if container.exit_code:
            code = container.exit_code if container.exit_code > 0 else 128 - container.exit_code
            written = self._base / "output/failure"
            reason = written.read_text(errors="replace") if written.exists() else container.last_words()
            raise ChildProcessError(f"AlgorithmError: {reason}, exit code: {code}")
        return "Completed"

    def _restore_checkpoints(self) -> Callable[[], None]:
        """Bring back what an earlier job of the same S3Uri left; returns what sends up the news."""
        config = self._record.get("CheckpointConfig")
        folder = self._folder((config or {}).get("LocalPath", f"{ROOT}/checkpoints"))
        if not config:
            return lambda: None
        download_prefix(self._s3, config["S3Uri"].rstrip("/") + "/", folder)
        upload = Upload(self._s3, folder, config["S3Uri"])
        upload.mark_all_sent()
        return upload.send

    def _upload_results(self) -> None:
        """Uncompressed, as the app asks for. The reported URI has no final slash, which a ModelDataSource needs."""
        output = f"{self._record['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self._name}/output"
        for folder in ("model", "output/data"):
            Upload(self._s3, self._folder(f"{ROOT}/{folder}"), f"{output}/{Path(folder).name}").send()
        self._change(ModelArtifacts={"S3ModelArtifacts": f"{output}/model"})


class Metrics:
    """The newest value of every metric that a job's MetricDefinitions find in the lines that it prints: `definitions`
    are a name each, and a regular expression whose first group is the value.

    Raises ApiError for an expression that is none, or that has no group.
    """

    def __init__(self, definitions: Sequence[Record]) -> None:
        self._patterns = {item["Name"]: _pattern(item["Name"], item["Regex"]) for item in definitions}
        self._newest: dict[str, Record] = {}

    def read(self, lines: Iterable[str]) -> None:
        """Take in what the program printed. As on SageMaker, what is no number is passed over."""
        for line in lines:
            for name, pattern in self._patterns.items():
                for match in pattern.finditer(line):
                    with contextlib.suppress(ValueError):
                        if math.isfinite(value := float(match[1] or "")):
                            self._newest[name] = {"MetricName": name, "Value": value, "Timestamp": time.time()}

    @property
    def final(self) -> list[Record]:
        """DescribeTrainingJob's FinalMetricDataList, which is there from the first value on."""
        return list(self._newest.values())


def _pattern(name: str, regex: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(regex)
        reason = "" if pattern.groups else "it has no group for the value"
    except re.error as error:
        reason = str(error)
    if reason:
        raise ApiError(f"The regular expression of metric {name}, {regex!r}, cannot be used: {reason}.")
    return pattern
