"""Step Functions in the emulator: the optimized integration that runs a training job."""

import json
from typing import Any

from ministack.services import stepfunctions

from local.api import ApiError, Record
from local.sagemaker import SageMaker

NEEDED = (
    (stepfunctions, "_SERVICE_DISPATCH"),
    (stepfunctions, "_ExecutionError"),
)
"""What of ministack this module fills or uses, as (module, name)."""

CREATE_TRAINING_JOB = "arn:aws:states:::sagemaker:createTrainingJob"


def extend(sagemaker: SageMaker) -> None:
    """Register the integration in ministack's table."""

    def create_training_job(resource: str, request: Record) -> Any:
        try:
            if not resource.endswith(".sync"):
                return sagemaker.create_training_job(request)
            job = sagemaker.run_training_job(request)
        except ApiError as error:
            raise stepfunctions._ExecutionError("SageMaker.AmazonSageMakerException", error.message) from None
        if job["TrainingJobStatus"] != "Completed":
            raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(job))
        return job

    stepfunctions._SERVICE_DISPATCH[CREATE_TRAINING_JOB] = create_training_job
