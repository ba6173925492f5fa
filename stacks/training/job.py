"""The state that creates one training job: CreateTrainingJob's parameters, in its own words.

Raw JSON, because the library's own task knows neither spot capacity, checkpoints nor uncompressed output.
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
"""

from typing import Any

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.containers import TrainSettings
from contract.models import MODELS_PREFIX
from contract.trainings import METRIC_DEFINITIONS, TRAIN_CHANNEL
from stacks.config import StageConfig
from stacks.data import CHECKPOINTS_PREFIX


def create_training_job(
    scope: Construct, config: StageConfig, image_uri: str, role: iam.IRole, artifacts: s3.IBucket
) -> sfn.CustomState:
    """Create a training job named after the execution and wait for it; its description becomes `$.job`.

    What differs between jobs is at `$.job_request`, as lambdas/manage/trainings.py writes it, or `plain_job_request`.
    """
    checkpoints_s3_uri = artifacts.s3_url_for_object(CHECKPOINTS_PREFIX)
    parameters = {
        # The name of an execution is its caller's or a UUID: with it, whoever starts one knows its job and its model.
        "TrainingJobName.$": f"States.Format('{config.name}-{{}}', $$.Execution.Name)",
        "RoleArn": role.role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": image_uri,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in METRIC_DEFINITIONS.items()],
        },
        "HyperParameters.$": "$.job_request.HyperParameters",
        "InputDataConfig.$": "$.job_request.InputDataConfig",
        # Uncompressed, an artifact is a folder that an endpoint loads as it is.
        "OutputDataConfig": {"S3OutputPath": artifacts.s3_url_for_object(MODELS_PREFIX), "CompressionType": "NONE"},
        "CheckpointConfig": {"S3Uri.$": f"States.Format('{checkpoints_s3_uri}{{}}/', $$.Execution.Name)"},
        # The curves of TrainSettings.tensorboard_dir, in a folder of the job's name.
        "TensorBoardOutputConfig": {"S3OutputPath": checkpoints_s3_uri},
        "ResourceConfig": {
            "InstanceType": config.training_instance_type,
            "InstanceCount": config.training_instance_count,
            "VolumeSizeInGB": config.training_volume_gb,
        },
        "StoppingCondition.$": "$.job_request.StoppingCondition",
        "EnableManagedSpotTraining.$": "$.job_request.EnableManagedSpotTraining",
        "EnableNetworkIsolation": True,
        "Environment": TrainSettings(expect_gpu=config.training_has_gpu).to_env(),
        # The stacks' tags do not reach what a state machine makes, and a job is what costs.
        "Tags": [{"Key": key, "Value": value} for key, value in config.tags.items()],
    }
    return sfn.CustomState(
        scope,
        "TrainingJob",
        state_json={
            "Type": "Task",
            "Resource": f"arn:{Aws.PARTITION}:states:::sagemaker:createTrainingJob.sync",
            "Parameters": parameters,
            # Nothing is selected: a member that a stopped job lacks would fail the execution past every Catch.
            "ResultPath": "$.job",
        },
    )


def plain_job_request(config: StageConfig) -> dict[str, Any]:
    """The members of `$.job_request` for an execution that is given a dataset and hyperparameters by hand."""
    source = {"S3DataType": "S3Prefix", "S3DataDistributionType": "FullyReplicated", "S3Uri.$": "$.dataset_s3_uri"}
    # SageMaker refuses MaxWaitTimeInSeconds without spot, and spot without it.
    wait = {"MaxWaitTimeInSeconds": config.max_wait_s} if config.spot else {}
    return {
        "HyperParameters.$": "$.hyperparameters",
        "InputDataConfig": [{"ChannelName": TRAIN_CHANNEL, "DataSource": {"S3DataSource": source}}],
        "StoppingCondition": {"MaxRuntimeInSeconds": config.max_run_s, **wait},
        "EnableManagedSpotTraining": config.spot,
    }
