"""The part of SageMaker that the app uses, as the emulator calls it: serving, training, and both over HTTP."""

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import botocore.session
from botocore.validate import ParamValidator

from local.api import ApiError, Record, arn
from local.containers import Container, Images, Listener
from local.endpoints import Endpoints
from local.images import ImageError
from local.storage import S3Client
from local.training import TrainingJob

_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")

WANTED_POLL_S = 0.5

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body, as the emulator's services answer."""


class SageMaker:
    """One account's SageMaker. Containers get their folders under `directory`."""

    def __init__(self, directory: Path, images: Images, s3: S3Client) -> None:
        self._directory, self._images, self._s3 = directory, images, s3
        self._jobs: dict[str, TrainingJob] = {}
        self.endpoints = Endpoints(directory, images, s3)
        self._operations = {
            "DescribeEndpoint": self.endpoints.describe_endpoint,
            "CreateTrainingJob": self.create_training_job,
            "DescribeTrainingJob": self.describe_training_job,
            "StopTrainingJob": self.stop_training_job,
        }

    def create_training_job(self, request: Record) -> Record:
        _validate(request)
        name, image = request["TrainingJobName"], request["AlgorithmSpecification"]["TrainingImage"]
        if name in self._jobs:
            raise ApiError("ResourceInUse", f"There is a training job named {name} already; names are unique.")
        if request["OutputDataConfig"].get("CompressionType") != "NONE":
            raise ApiError("ValidationException", "Local mode writes artifacts only with CompressionType NONE.")
        try:
            program = self._images.find(image)
        except ImageError as error:
            raise ApiError("ValidationException", str(error)) from None
        base = self._directory / name
        job = self._jobs[name] = TrainingJob(request, arn("training-job", name), base, self._s3)

        def start(environment: Mapping[str, str], listen: Listener) -> Container:
            group, stream = "/aws/sagemaker/TrainingJobs", f"{name}/algo-1"
            return self._images.start(program, "train", base, environment, group, stream, listen)

        threading.Thread(target=job.run, args=(start,), daemon=True).start()
        return {"TrainingJobArn": arn("training-job", name)}

    def run_training_job(self, request: Record, is_wanted: Callable[[], bool] = lambda: True) -> Record:
        """CreateTrainingJob, and its description once it has ended. A job that is no longer wanted is stopped."""
        self.create_training_job(request)
        job = self._jobs[request["TrainingJobName"]]
        while not job.finished.wait(WANTED_POLL_S):
            if not is_wanted():
                with contextlib.suppress(ApiError):  # it ended this moment
                    job.stop()
        return job.describe()

    def describe_training_job(self, request: Record) -> Record:
        return self._job(request).describe()

    def stop_training_job(self, request: Record) -> Record:
        self._job(request).stop()
        return {}

    def stop_all(self) -> None:
        """End every container, before the emulator itself ends."""
        for job in self._jobs.values():
            with contextlib.suppress(ApiError):  # it has ended
                job.stop()
        self.endpoints.stop_all()

    async def handle_request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, list[str]]
    ) -> Response:
        """One HTTP request for `sagemaker` or `sagemaker-runtime`; both sign as `sagemaker`."""
        try:
            if invocation := _INVOCATION.fullmatch(path):
                return await asyncio.to_thread(self._invoke, invocation[1], body, headers)
            target = headers.get("x-amz-target", "").removeprefix("SageMaker.")
            if target not in self._operations:
                raise ApiError("UnknownOperationException", f"Local mode has no SageMaker {target or path!r}.")
            return _json(200, self._operations[target](json.loads(body)))
        except ApiError as error:
            members = {"__type": error.code, "message": error.message, "Message": error.message, **error.members}
            return _json(error.status, members, {"x-amzn-errortype": error.code})

    def _job(self, request: Record) -> TrainingJob:
        if request["TrainingJobName"] not in self._jobs:
            raise ApiError("ValidationException", "Requested resource not found.")
        return self._jobs[request["TrainingJobName"]]

    def _invoke(self, name: str, body: bytes, headers: Mapping[str, str]) -> Response:
        answer = self.endpoints.invoke(name, body, headers)
        passed_on = ("content-type", "x-amzn-sagemaker-custom-attributes")
        return answer.status, {key: answer.headers[key] for key in passed_on if key in answer.headers}, answer.body


def _json(status: int, members: Record, headers: Mapping[str, str] | None = None) -> Response:
    return status, {"Content-Type": "application/x-amz-json-1.1", **(headers or {})}, json.dumps(members).encode()


def _validate(request: Record) -> None:
    """A state machine passes its JSON on unchecked, so the API's own model of the request checks it here, and beside
    it the rule that the model cannot say: a spot job needs MaxWaitTimeInSeconds, and no other may have it.
    """
    shape = (
        botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateTrainingJob").input_shape
    )
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise ApiError("ValidationException", report.generate_report())
    spot, limits = request.get("EnableManagedSpotTraining", False), request["StoppingCondition"]
    wait_s = limits.get("MaxWaitTimeInSeconds")
    if spot and (wait_s is None or wait_s < limits.get("MaxRuntimeInSeconds", 86_400)):
        raise ApiError(
            "ValidationException",
            f"MaxWaitTimeInSeconds is {wait_s}. With EnableManagedSpotTraining it must be MaxRuntimeInSeconds or more.",
        )
    if wait_s is not None and not spot:
        raise ApiError("ValidationException", "MaxWaitTimeInSeconds is for EnableManagedSpotTraining only.")
