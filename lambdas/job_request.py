"""What of a SageMaker training job differs from training to training; the rest is fixed by stacks/training_job.py.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
"""

from __future__ import annotations

from typing import Any

from model.resources.models import NO_MODEL_URI
from model.resources.trainings import BASE_CHANNEL, TRAIN_CHANNEL, Training, channel_s3_uri


def job_request(training: Training, data_bucket: str, max_wait_s: int) -> dict[str, Any]:
    """Members of CreateTrainingJob's request.

    `max_wait_s` is what a job on spot capacity may take with its waiting, if it may run no longer than that.
    """
    channels = [_channel(TRAIN_CHANNEL, "ManifestFile", channel_s3_uri(data_bucket, training.id))]
    if training.base_s3_uri != NO_MODEL_URI:
        channels.append(_channel(BASE_CHANNEL, "S3Prefix", training.base_s3_uri))
    stopping = {"MaxRuntimeInSeconds": training.max_runtime_s}
    if training.spot:  # SageMaker refuses it without
        stopping["MaxWaitTimeInSeconds"] = max(max_wait_s, training.max_runtime_s)
    return {
        "HyperParameters": training.hyperparameters,
        "InputDataConfig": channels,
        "StoppingCondition": stopping,
        "EnableManagedSpotTraining": training.spot,
    }


def _channel(name: str, kind: str, s3_uri: str) -> dict[str, Any]:
    source = {"S3DataType": kind, "S3DataDistributionType": "FullyReplicated", "S3Uri": s3_uri}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}
