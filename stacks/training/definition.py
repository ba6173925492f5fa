"""What the training state machine does, state by state.

A training that the API accepted: snapshot of its dataset → training job → gate → perhaps a promotion.
An execution that is started by hand with {"dataset_s3_uri", "hyperparameters"}: the training job alone.
"""

from dataclasses import dataclass
from typing import Any

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.containers import TrainSettings
from contract.models import MODELS_PREFIX
from contract.progress import CHECKPOINTS_PREFIX
from contract.trainings import METRIC_DEFINITIONS, TRAIN_CHANNEL
from stacks.config import StageConfig
from stacks.handler_function import HandlerFunction
from stacks.machine import call, catch, read_fault

TRAINING = "$.training"
"""What an execution is given that the API starts: contract.trainings.Training."""
CHANNELS = "$.job_request.InputDataConfig"


@dataclass(frozen=True)
class Definition:
    """The states, and what they call: the training job, our functions, the machine of promotions.

    `dataset_s3_uris`: where datasets of executions by hand may be.
    """

    scope: Construct
    config: StageConfig
    job: sfn.CustomState
    snapshot: HandlerFunction
    gate: HandlerFunction
    promotion_machine: sfn.StateMachine
    dataset_s3_uris: tuple[str, ...]

    def start(self) -> sfn.IChainable:
        """The state that looks at the input, with all behind it."""
        # A function of ours raised: its sentence is the cause.
        said, error = "$.fault.raised.errorMessage", "$.error.Error"
        step_failed = sfn.Fail(self.scope, "StepFailed", error_path=error, cause_path=said)
        step_broke = sfn.Fail(self.scope, "StepBroke", error_path=error, cause_path="$.error.Cause")
        failed = read_fault(self.scope, step_failed, step_broke)
        not_completed = self._explain_ending()
        catch(self.job, self._explain_failure(not_completed))
        self.job.next(
            sfn.Choice(self.scope, "IsCompleted")
            .when(
                sfn.Condition.string_equals("$.job.TrainingJobStatus", "Completed"),
                sfn.Choice(self.scope, "IsToBeJudged")
                .when(sfn.Condition.is_present(TRAINING), self._judge(failed))
                .otherwise(self._answer()),
            )
            .otherwise(not_completed)
        )
        event = {"training.$": TRAINING, "channels.$": CHANNELS}
        snapshot = call(self.scope, "Snapshot", self.snapshot, event, "$.snapshot", caught=failed)
        # SageMaker refuses a channel without objects: which there are, only the snapshot knows
        channels = sfn.Pass(self.scope, "Channels", input_path="$.snapshot.channels", result_path=CHANNELS)
        return self._check_input(snapshot.next(channels).next(self.job))

    def _check_input(self, snapshot: sfn.IChainable) -> sfn.IChainable:
        """Tell what kind of execution it is, and fill in what one by hand may leave out."""
        dataset, prefixes = "$.dataset_s3_uri", self.dataset_s3_uris
        has_dataset = sfn.Condition.and_(
            sfn.Condition.is_string(dataset),
            sfn.Condition.or_(*(sfn.Condition.string_matches(dataset, f"{each}*") for each in prefixes)),
        )
        no_dataset = sfn.Fail(
            self.scope,
            "NoDataset",
            error="Wordsight.NoDataset",
            cause=f"dataset_s3_uri is missing or not allowed: give an S3 prefix under {' or '.join(prefixes)}",
        )
        request = plain_job_request(self.config)
        as_request = sfn.Pass(self.scope, "AsRequest", parameters=request, result_path="$.job_request").next(self.job)
        no_hyperparameters = sfn.Pass(
            self.scope, "NoHyperparameters", result=sfn.Result.from_object({}), result_path="$.hyperparameters"
        )
        return (
            sfn.Choice(self.scope, "CheckInput")
            .when(sfn.Condition.is_present(TRAINING), snapshot)
            .when(sfn.Condition.not_(sfn.Condition.is_present(dataset)), no_dataset)
            .when(sfn.Condition.not_(has_dataset), no_dataset)
            .when(sfn.Condition.is_present("$.hyperparameters"), as_request)
            .otherwise(no_hyperparameters.next(as_request))
        )

    def _judge(self, failed: sfn.IChainable) -> sfn.IChainable:
        """The gate, whose verdict is the execution's output; a promotion goes on by itself."""
        event = {"training.$": TRAINING, "job.$": "$.job"}
        gate = call(self.scope, "Gate", self.gate, event, "$.verdict", caught=failed)
        promotion = "$.verdict.promotion"
        promote = sfn.CustomState(
            self.scope,
            "Promote",
            state_json={
                "Type": "Task",
                "Resource": f"arn:{Aws.PARTITION}:states:::states:startExecution",
                "Parameters": {
                    "StateMachineArn": self.promotion_machine.state_machine_arn,
                    "Name.$": promotion,
                    "Input": {"promotion.$": promotion},
                },
                "ResultPath": "$.started",
            },
        )
        judged = sfn.Pass(self.scope, "Judged", output_path="$.verdict")
        return gate.next(
            sfn.Choice(self.scope, "IsToBePromoted")
            .when(sfn.Condition.is_string(promotion), promote.next(judged))
            .otherwise(judged)
        )

    def _answer(self) -> sfn.IChainable:
        """The output of an execution by hand. Endpoints need a slash after a folder, and SageMaker promises none."""

        def answer(id: str, artifact_s3_uri: str) -> sfn.Pass:
            members = {"training_job_name.$": "$.job.TrainingJobName", "artifact_s3_uri.$": artifact_s3_uri}
            return sfn.Pass(self.scope, id, parameters=members)

        artifact = "$.job.ModelArtifacts.S3ModelArtifacts"
        return (
            sfn.Choice(self.scope, "EndsWithSlash")
            .when(sfn.Condition.string_matches(artifact, "*/"), answer("Answer", artifact))
            .otherwise(answer("AnswerWithSlash", f"States.Format('{{}}/', {artifact})"))
        )

    def _explain_ending(self) -> sfn.Choice:
        """A job that failed says why; one that was stopped, or took longer than it may, says no more than that."""
        failed = sfn.Fail(
            self.scope,
            "TrainingFailed",
            error="Wordsight.TrainingFailed",
            cause_path="States.Format('training job {} failed: {}', $.job.TrainingJobName, $.job.FailureReason)",
        )
        stopped = sfn.Fail(
            self.scope,
            "TrainingStopped",
            error="Wordsight.TrainingStopped",
            cause_path=(
                "States.Format('training job {} ended as {} ({}), so it left no finished model: "
                "start another; raise max_run_s if the runtime was exceeded', "
                "$.job.TrainingJobName, $.job.TrainingJobStatus, $.job.SecondaryStatus)"
            ),
        )
        has_reason = sfn.Condition.is_present("$.job.FailureReason")
        return sfn.Choice(self.scope, "HasReason").when(has_reason, failed).otherwise(stopped)

    def _explain_failure(self, not_completed: sfn.Choice) -> sfn.IChainable:
        """The cause of a job that ran is its whole description as JSON, of one that was refused a sentence: show that.

        Whether a stopped job arrives here or as a result is not documented; either way `not_completed` reads it.
        """
        description = {"job.$": "States.StringToJson($.error.Cause)"}
        read_description = sfn.Pass(self.scope, "ReadDescription", parameters=description)
        refused = sfn.Fail(self.scope, "TrainingNotRun", error_path="$.error.Error", cause_path="$.error.Cause")
        is_description = sfn.Condition.string_matches("$.error.Cause", '*"TrainingJobStatus":*')
        return (
            sfn.Choice(self.scope, "IsDescription")
            .when(is_description, read_description.next(not_completed))
            .otherwise(refused)
        )


def create_training_job(
    scope: Construct, config: StageConfig, image_uri: str, role: iam.IRole, artifacts: s3.IBucket
) -> sfn.CustomState:
    """Create a training job named after the execution and wait for it; its description becomes `$.job`.

    Raw JSON, because the library's own task knows neither spot capacity, checkpoints nor uncompressed output.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
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
        "InputDataConfig.$": CHANNELS,
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
