"""A training job: channels come down, the `train` program runs, checkpoints and the model go up."""

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from local.api import ApiError, Record
from local.containers import ROOT, Container, Listener
from local.metrics import Metrics
from local.storage import S3Client, Upload, download_manifest, download_prefix

CHECKPOINT_SYNC_S = 2
STOP_GRACE_S = 120
"""What SageMaker gives a program between SIGTERM and SIGKILL."""

MAX_INTERRUPTIONS = 5
"""SageMaker knows a spot instance taken back from a program killed for its memory; here, so many are believed."""

Start = Callable[[Mapping[str, str], Listener], Container]
"""Launches the program with an environment; the listener gets what it prints."""


class TrainingJob:
    """One CreateTrainingJob request and what became of it. Raises ApiError for metrics that cannot be read."""

    def __init__(self, request: Record, arn: str, base: Path, s3: S3Client) -> None:
        self._record: Record = {
            **request, "TrainingJobArn": arn, "TrainingJobStatus": "InProgress", "SecondaryStatus": "",
            "SecondaryStatusTransitions": [], "CreationTime": time.time(),
        }  # fmt: skip
        self._base = base
        self._s3 = s3
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

    def run(self, start: Start) -> None:
        """Take the job from Starting to Completed, Failed or Stopped."""
        try:
            while (ending := self._attempt(start)) == "Interrupted":
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
        """StopTrainingJob: the program gets SIGTERM and time for a checkpoint. Raises ApiError if the job has ended."""
        with self._changing:
            status = self._record["TrainingJobStatus"]
            if status not in ("InProgress", "Stopping"):
                raise ApiError(
                    "ValidationException", f"The request was rejected because the training job is in status {status}."
                )
            if not self._stop_asked.is_set():
                self._stop_asked.set()
                self._enter("Stopping", TrainingJobStatus="Stopping")

    def _enter(self, status: str, message: str = "", **members: object) -> None:
        """Begin a secondary status, and with it end the one before."""
        with self._changing:
            now = time.time()
            transitions = self._record["SecondaryStatusTransitions"]
            if transitions:
                transitions[-1] = {**transitions[-1], "EndTime": now}
            entered = {"Status": status, "StartTime": now, "StatusMessage": message}
            self._change(SecondaryStatus=status, SecondaryStatusTransitions=[*transitions, entered], **members)

    def _change(self, **members: object) -> None:
        with self._changing:
            self._record.update(members, LastModifiedTime=time.time())

    def _attempt(self, start: Start) -> str:
        """One instance's work, from an empty disk on; returns the secondary status that it led to."""
        self._enter("Downloading")
        self._make_folders()
        self._download_channels()
        send_checkpoints = self._restore_checkpoints()
        if self._stop_asked.is_set():
            return "Stopped"
        self._enter("Training", TrainingStartTime=self._record.get("TrainingStartTime", time.time()))
        container = start(self._environment(), self._metrics.read)
        ending = self._follow(container, send_checkpoints)
        container.wait_for_log()
        return ending

    def _folder(self, container_path: str) -> Path:
        folder = self._base / Path(container_path).relative_to(ROOT)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _make_folders(self) -> None:
        for results in ("model", "output/data"):
            self._folder(f"{ROOT}/{results}")
        config = self._folder(f"{ROOT}/input/config")
        channels = {channel["ChannelName"]: channel for channel in self._record.get("InputDataConfig", [])}
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
        (config / "hyperparameters.json").write_text(json.dumps(self._record.get("HyperParameters", {})))
        (config / "inputdataconfig.json").write_text(json.dumps(channels))
        (config / "resourceconfig.json").write_text(json.dumps(hosts))

    def _download_channels(self) -> None:
        for channel in self._record.get("InputDataConfig", []):
            name, source = channel["ChannelName"], channel["DataSource"]["S3DataSource"]
            download = download_manifest if source["S3DataType"] == "ManifestFile" else download_prefix
            if not download(self._s3, source["S3Uri"], self._folder(f"{ROOT}/input/data/{name}")):
                raise FileNotFoundError(f"ClientError: No S3 objects found under {source['S3Uri']} (channel {name})")

    def _environment(self) -> dict[str, str]:
        return {
            **self._record.get("Environment", {}),
            "TRAINING_JOB_NAME": self._record["TrainingJobName"],
            "TRAINING_JOB_ARN": self._record["TrainingJobArn"],
        }

    def _follow(self, container: Container, send_checkpoints: Callable[[], None]) -> str:
        """Wait for the program while its checkpoints go up; returns the secondary status that its end means."""
        limit_s = self._record["StoppingCondition"].get("MaxRuntimeInSeconds", 86_400)
        deadline_s = self._record["TrainingStartTime"] + limit_s
        while container.exit_code is None and not self._stop_asked.is_set() and time.time() < deadline_s:
            container.wait(CHECKPOINT_SYNC_S)
            send_checkpoints()
        if container.exit_code is None:
            container.stop(STOP_GRACE_S)
            send_checkpoints()
            return "Stopped" if self._stop_asked.is_set() else "MaxRuntimeExceeded"
        if self._was_interrupted(container):
            return "Interrupted"
        if container.exit_code:
            code = container.exit_code if container.exit_code > 0 else 128 - container.exit_code
            raise ChildProcessError(f"AlgorithmError: {self._failure(container)}, exit code: {code}")
        return "Completed"

    def _was_interrupted(self, container: Container) -> bool:
        """A spot instance that is taken back kills the program, and the job goes on with another instance."""
        spot = bool(self._record.get("EnableManagedSpotTraining"))
        return spot and container.exit_code == -signal.SIGKILL and self._interruptions < MAX_INTERRUPTIONS

    def _failure(self, container: Container) -> str:
        written = self._base / "output/failure"
        return written.read_text(errors="replace") if written.exists() else container.last_words()

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
        prefix = self._record["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        output = f"{prefix}/{self._record['TrainingJobName']}/output"
        Upload(self._s3, self._folder(f"{ROOT}/model"), f"{output}/model").send()
        Upload(self._s3, self._folder(f"{ROOT}/output/data"), f"{output}/data").send()
        self._change(ModelArtifacts={"S3ModelArtifacts": f"{output}/model"})
