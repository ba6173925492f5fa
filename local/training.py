"""A training job: channels come down, the `train` program runs, checkpoints and the model go up."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from local.api import ApiError, Record
from local.containers import ROOT, Container
from local.storage import S3Client, Upload, download_prefix

CHECKPOINT_SYNC_S = 2
STOP_GRACE_S = 120
"""What SageMaker gives a program between SIGTERM and SIGKILL."""


class TrainingJob:
    """One CreateTrainingJob request and what became of it. `record` is what DescribeTrainingJob answers."""

    def __init__(self, request: Record, arn: str, base: Path, s3: S3Client) -> None:
        self.record: Record = {
            **request, "TrainingJobArn": arn, "TrainingJobStatus": "InProgress", "SecondaryStatus": "Starting",
            "CreationTime": time.time(), "LastModifiedTime": time.time(),
        }  # fmt: skip
        self._base = base
        self._s3 = s3
        self._changing = threading.RLock()
        self._stop_asked = threading.Event()
        self.finished = threading.Event()

    def run(self, start: Callable[[Mapping[str, str]], Container]) -> None:
        """Take the job from Starting to Completed, Failed or Stopped. `start` launches the program."""
        try:
            self._change(SecondaryStatus="Downloading")
            self._make_folders()
            self._download_channels()
            send_checkpoints = self._restore_checkpoints()
            self._change(SecondaryStatus="Training", TrainingStartTime=time.time())
            ending = self._follow(start(self._environment()), send_checkpoints)
            self._change(SecondaryStatus="Uploading")
            self._upload_results()
            self._change(TrainingJobStatus="Completed" if ending == "Completed" else "Stopped", SecondaryStatus=ending)
        except (OSError, ValueError, Boto3Error, BotoCoreError, ClientError) as error:
            self._change(TrainingJobStatus="Failed", SecondaryStatus="Failed", FailureReason=str(error)[:1024])
        finally:
            self._change(TrainingEndTime=time.time())
            self.finished.set()

    def stop(self) -> None:
        """StopTrainingJob: the program gets SIGTERM and time for a checkpoint. Raises ApiError if the job has ended."""
        with self._changing:
            status = self.record["TrainingJobStatus"]
            if status not in ("InProgress", "Stopping"):
                raise ApiError(
                    "ValidationException", f"The request was rejected because the training job is in status {status}."
                )
            self._stop_asked.set()
            self._change(TrainingJobStatus="Stopping", SecondaryStatus="Stopping")

    def _change(self, **members: object) -> None:
        with self._changing:
            self.record.update(members, LastModifiedTime=time.time())

    def _folder(self, container_path: str) -> Path:
        folder = self._base / Path(container_path).relative_to(ROOT)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _make_folders(self) -> None:
        for results in ("model", "output/data"):
            self._folder(f"{ROOT}/{results}")
        config = self._folder(f"{ROOT}/input/config")
        channels = {channel["ChannelName"]: channel for channel in self.record.get("InputDataConfig", [])}
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
        (config / "hyperparameters.json").write_text(json.dumps(self.record.get("HyperParameters", {})))
        (config / "inputdataconfig.json").write_text(json.dumps(channels))
        (config / "resourceconfig.json").write_text(json.dumps(hosts))

    def _download_channels(self) -> None:
        for channel in self.record.get("InputDataConfig", []):
            name, uri = channel["ChannelName"], channel["DataSource"]["S3DataSource"]["S3Uri"]
            if not download_prefix(self._s3, uri, self._folder(f"{ROOT}/input/data/{name}")):
                raise FileNotFoundError(f"ClientError: No S3 objects found under {uri} (channel {name})")

    def _environment(self) -> dict[str, str]:
        return {
            **self.record.get("Environment", {}),
            "TRAINING_JOB_NAME": self.record["TrainingJobName"],
            "TRAINING_JOB_ARN": self.record["TrainingJobArn"],
        }

    def _follow(self, container: Container, send_checkpoints: Callable[[], None]) -> str:
        """Wait for the program while its checkpoints go up; returns the job's last secondary status."""
        deadline = time.monotonic() + self.record["StoppingCondition"].get("MaxRuntimeInSeconds", 86_400)
        while container.exit_code is None and not self._stop_asked.is_set() and time.monotonic() < deadline:
            container.wait(CHECKPOINT_SYNC_S)
            send_checkpoints()
        if container.exit_code is None:
            container.stop(STOP_GRACE_S)
            send_checkpoints()
            return "Stopped" if self._stop_asked.is_set() else "MaxRuntimeExceeded"
        if container.exit_code:
            raise ChildProcessError(f"AlgorithmError: {self._failure(container)}, exit code: {container.exit_code}")
        return "Completed"

    def _failure(self, container: Container) -> str:
        written = self._base / "output/failure"
        return written.read_text(errors="replace") if written.exists() else container.log_tail()

    def _restore_checkpoints(self) -> Callable[[], None]:
        """Bring back what an earlier job of the same S3Uri left; returns what sends up the news."""
        config = self.record.get("CheckpointConfig")
        folder = self._folder((config or {}).get("LocalPath", f"{ROOT}/checkpoints"))
        if not config:
            return lambda: None
        download_prefix(self._s3, config["S3Uri"].rstrip("/") + "/", folder)
        upload = Upload(self._s3, folder, config["S3Uri"])
        upload.mark_all_sent()
        return upload.send

    def _upload_results(self) -> None:
        """Uncompressed, as the app asks for. The reported URI has no final slash, which a ModelDataSource needs."""
        prefix = self.record["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        output = f"{prefix}/{self.record['TrainingJobName']}/output"
        Upload(self._s3, self._folder(f"{ROOT}/model"), f"{output}/model").send()
        Upload(self._s3, self._folder(f"{ROOT}/output/data"), f"{output}/data").send()
        self._change(ModelArtifacts={"S3ModelArtifacts": f"{output}/model"})
