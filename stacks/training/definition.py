"""What the training state machine does, state by state.

A training that the API accepted: snapshot of its dataset → training job → gate → perhaps a promotion.
An execution that is started by hand with {"dataset_s3_uri", "hyperparameters"}: the training job alone.
"""

from dataclasses import dataclass

from aws_cdk import Aws
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.config import StageConfig
from stacks.handler_function import HandlerFunction
from stacks.machine import call, catch, read_fault
from stacks.training.job import plain_job_request


@dataclass(frozen=True)
class Parts:
    """What the states call: the training job, our functions, the machine of promotions; and where datasets may be."""

    job: sfn.CustomState
    snapshot: HandlerFunction
    gate: HandlerFunction
    promotion_machine: sfn.StateMachine
    dataset_s3_uris: tuple[str, ...]


def definition(scope: Construct, config: StageConfig, parts: Parts) -> sfn.IChainable:
    """The states, from the one that looks at the input."""
    failed = _explain_fault(scope)
    not_completed = _explain_ending(scope)
    catch(parts.job, _explain_failure(scope, not_completed))
    parts.job.next(
        sfn.Choice(scope, "IsCompleted")
        .when(
            sfn.Condition.string_equals("$.job.TrainingJobStatus", "Completed"),
            sfn.Choice(scope, "IsToBeJudged")
            .when(sfn.Condition.is_present("$.training"), _judge(scope, parts, failed))
            .otherwise(_answer(scope)),
        )
        .otherwise(not_completed)
    )
    event = {"training.$": "$.training"}
    snapshot = call(scope, "Snapshot", parts.snapshot, event, "$.snapshot", caught=failed)
    return _check_input(scope, config, parts, snapshot.next(parts.job))


def _check_input(scope: Construct, config: StageConfig, parts: Parts, snapshot: sfn.IChainable) -> sfn.IChainable:
    """Tell what kind of execution it is, and fill in what one by hand may leave out."""
    prefixes = parts.dataset_s3_uris
    has_dataset = sfn.Condition.and_(
        sfn.Condition.is_string("$.dataset_s3_uri"),
        sfn.Condition.or_(*(sfn.Condition.string_matches("$.dataset_s3_uri", f"{each}*") for each in prefixes)),
    )
    no_dataset = sfn.Fail(
        scope,
        "NoDataset",
        error="Wordsight.NoDataset",
        cause=f"dataset_s3_uri is missing or not allowed: give an S3 prefix under {' or '.join(prefixes)}",
    )
    as_request = sfn.Pass(scope, "AsRequest", parameters=plain_job_request(config), result_path="$.job_request").next(
        parts.job
    )
    no_hyperparameters = sfn.Pass(
        scope, "NoHyperparameters", result=sfn.Result.from_object({}), result_path="$.hyperparameters"
    )
    return (
        sfn.Choice(scope, "CheckInput")
        .when(sfn.Condition.is_present("$.training"), snapshot)
        .when(sfn.Condition.not_(sfn.Condition.is_present("$.dataset_s3_uri")), no_dataset)
        .when(sfn.Condition.not_(has_dataset), no_dataset)
        .when(sfn.Condition.is_present("$.hyperparameters"), as_request)
        .otherwise(no_hyperparameters.next(as_request))
    )


def _judge(scope: Construct, parts: Parts, failed: sfn.IChainable) -> sfn.IChainable:
    """The gate, whose verdict is the execution's output; a promotion goes on by itself."""
    event = {"training.$": "$.training", "job.$": "$.job"}
    gate = call(scope, "Gate", parts.gate, event, "$.verdict", caught=failed)
    promote = sfn.CustomState(
        scope,
        "Promote",
        state_json={
            "Type": "Task",
            "Resource": f"arn:{Aws.PARTITION}:states:::states:startExecution",
            "Parameters": {
                "StateMachineArn": parts.promotion_machine.state_machine_arn,
                "Name.$": "$.verdict.promotion",
                "Input": {"promotion.$": "$.verdict.promotion"},
            },
            "ResultPath": "$.started",
        },
    )
    judged = sfn.Pass(scope, "Judged", output_path="$.verdict")
    return gate.next(
        sfn.Choice(scope, "IsToBePromoted")
        .when(sfn.Condition.is_string("$.verdict.promotion"), promote.next(judged))
        .otherwise(judged)
    )


def _answer(scope: Construct) -> sfn.IChainable:
    """The output of an execution by hand. Endpoints need a slash after a folder, which SageMaker does not promise."""

    def answer(id: str, artifact_s3_uri: str) -> sfn.Pass:
        members = {"training_job_name.$": "$.job.TrainingJobName", "artifact_s3_uri.$": artifact_s3_uri}
        return sfn.Pass(scope, id, parameters=members)

    artifact = "$.job.ModelArtifacts.S3ModelArtifacts"
    return (
        sfn.Choice(scope, "EndsWithSlash")
        .when(sfn.Condition.string_matches(artifact, "*/"), answer("Answer", artifact))
        .otherwise(answer("AnswerWithSlash", f"States.Format('{{}}/', {artifact})"))
    )


def _explain_ending(scope: Construct) -> sfn.Choice:
    """A job that failed says why; one that was stopped, or took longer than it may, says no more than that."""
    failed = sfn.Fail(
        scope,
        "TrainingFailed",
        error="Wordsight.TrainingFailed",
        cause_path="States.Format('training job {} failed: {}', $.job.TrainingJobName, $.job.FailureReason)",
    )
    stopped = sfn.Fail(
        scope,
        "TrainingStopped",
        error="Wordsight.TrainingStopped",
        cause_path=(
            "States.Format('training job {} ended as {} ({}), so it left no finished model: "
            "start another; raise max_run_s if the runtime was exceeded', "
            "$.job.TrainingJobName, $.job.TrainingJobStatus, $.job.SecondaryStatus)"
        ),
    )
    return (
        sfn.Choice(scope, "HasReason").when(sfn.Condition.is_present("$.job.FailureReason"), failed).otherwise(stopped)
    )


def _explain_failure(scope: Construct, not_completed: sfn.Choice) -> sfn.IChainable:
    """The cause of a job that ran is its whole description as JSON, of one that was refused a sentence: show that.

    Whether a stopped job arrives here or as a result is not documented; either way `not_completed` reads it.
    """
    read_description = sfn.Pass(scope, "ReadDescription", parameters={"job.$": "States.StringToJson($.error.Cause)"})
    refused = sfn.Fail(scope, "TrainingNotRun", error_path="$.error.Error", cause_path="$.error.Cause")
    return (
        sfn.Choice(scope, "IsDescription")
        .when(
            sfn.Condition.string_matches("$.error.Cause", '*"TrainingJobStatus":*'),
            read_description.next(not_completed),
        )
        .otherwise(refused)
    )


def _explain_fault(scope: Construct) -> sfn.IChainable:
    """A function of ours raised: its sentence is the cause."""
    step_failed = sfn.Fail(scope, "StepFailed", error_path="$.error.Error", cause_path="$.fault.raised.errorMessage")
    step_broke = sfn.Fail(scope, "StepBroke", error_path="$.error.Error", cause_path="$.error.Cause")
    return read_fault(scope, step_failed, step_broke)
