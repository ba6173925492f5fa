import json
import subprocess
from typing import Any

import pytest
from ministack.services import stepfunctions

from stacks.images import REPOSITORY_ROOT
from stacks.training.stack import UNKNOWN_REVISION, git_revision
from tests.stacks.conftest import ACCOUNT, ARTIFACTS, DATA, SERVING_STACK, Assembly, flat, granted


def test_a_job_reads_what_users_gave_and_writes_models_and_checkpoints_and_nothing_else(dev: Assembly) -> None:
    objects = {
        action: set(resources)
        for actions, resources, _ in dev.training.statements("ExecutionRole")
        for action in actions
        if action.startswith("s3:") and action != "s3:ListBucket"
    }
    assert objects == {
        "s3:GetObject": {
            *(f"{DATA}/{prefix}/*" for prefix in ("images", "snapshots", "collections")),
            f"{ARTIFACTS}/checkpoints/*",
            f"{ARTIFACTS}/models/*",
        },
        "s3:PutObject": {f"{ARTIFACTS}/models/*", f"{ARTIFACTS}/checkpoints/*"},
        "s3:AbortMultipartUpload": {f"{ARTIFACTS}/models/*", f"{ARTIFACTS}/checkpoints/*"},
    }


def test_a_job_lists_only_what_it_may_read(dev: Assembly) -> None:
    listing = {
        resources: condition
        for actions, resources, condition in dev.training.statements("ExecutionRole")
        if "s3:ListBucket" in actions
    }
    assert listing == {
        (DATA,): {"StringLike": {"s3:prefix": ["images/*", "snapshots/*"]}},
        (ARTIFACTS,): {"StringLike": {"s3:prefix": ["checkpoints/*", "models/*"]}},
    }


def test_the_state_machine_may_do_what_step_functions_documents_for_training_jobs(dev: Assembly) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html"""
    granted = {
        action: (resources, condition)
        for actions, resources, condition in dev.training.statements("StateMachineRole")
        for action in actions
        if action.partition(":")[0] in ("sagemaker", "iam", "events")
    }
    jobs = (ACCOUNT % "sagemaker" + "training-job/wordsight-dev-*",)
    rule = (ACCOUNT % "events" + "rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule",)
    (role,) = (id for id in dev.training.of_type("AWS::IAM::Role") if id.startswith("ExecutionRole"))
    assert granted == {
        "sagemaker:CreateTrainingJob": (jobs, None),
        "sagemaker:DescribeTrainingJob": (jobs, None),
        "sagemaker:StopTrainingJob": (jobs, None),
        "sagemaker:AddTags": (jobs, None),
        "sagemaker:ListTags": (("*",), None),
        "iam:PassRole": (
            (f"${{{role}.Arn}}",),
            {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
        "events:PutTargets": (rule, None),
        "events:PutRule": (rule, None),
        "events:DescribeRule": (rule, None),
    }


def test_every_step_is_logged_and_traced(dev: Assembly) -> None:
    machine = dev.training.the("AWS::StepFunctions::StateMachine", "StateMachine")
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert machine["TracingConfiguration"] == {"Enabled": True}


def definition(assembly: Assembly) -> dict[str, dict[str, object]]:
    text = flat(assembly.training.the("AWS::StepFunctions::StateMachine", "StateMachine")["DefinitionString"])
    states: dict[str, dict[str, object]] = json.loads(text)["States"]
    return states


def test_an_execution_without_a_dataset_of_ours_fails_with_a_sentence(dev: Assembly) -> None:
    states = definition(dev)
    assert states["NoDataset"]["Type"] == "Fail"
    assert "give an S3 prefix under s3://" in str(states["NoDataset"]["Cause"])
    choices = json.dumps(states["CheckInput"]["Choices"])
    assert choices.count('"Next": "NoDataset"') == 2


COMPLETED = {
    "TrainingJobName": "wordsight-dev-first",
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://artifacts/models/wordsight-dev-first/output/model/"},
}
"""What DescribeTrainingJob says of a job, as far as the state machine looks."""
FAILED = {**COMPLETED, "TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: no 'images' {in} the manifest"}
STOPPED = {
    "TrainingJobName": "wordsight-dev-first",
    "TrainingJobStatus": "Stopped",
    "SecondaryStatus": "MaxRuntimeExceeded",
}


def after_the_job(assembly: Assembly, job: dict[str, Any]) -> Any:
    """The execution's output for a task that succeeds with `job`. Raises its error and cause if it fails."""
    states = definition(assembly)
    assert states["TrainingJob"]["ResultPath"] == "$.job"
    return stepfunctions._run_sub_machine(states, states["TrainingJob"]["Next"], {"job": job}, {}, {})


def after_the_error(assembly: Assembly, error: str, cause: str) -> Any:
    """The same for a task that fails."""
    states = definition(assembly)
    (catcher,) = states["TrainingJob"]["Catch"]  # type: ignore[misc]
    assert (catcher["ErrorEquals"], catcher["ResultPath"]) == (["States.ALL"], "$.error")
    raised = {"error": {"Error": error, "Cause": cause}}
    return stepfunctions._run_sub_machine(states, catcher["Next"], raised, {}, {})


@pytest.mark.parametrize("slash", ["/", ""])
def test_the_answer_is_the_job_and_where_its_model_lies_as_an_endpoint_takes_it(dev: Assembly, slash: str) -> None:
    artifact = "s3://artifacts/models/wordsight-dev-first/output/model"
    job = {**COMPLETED, "ModelArtifacts": {"S3ModelArtifacts": artifact + slash}}
    assert after_the_job(dev, job) == {"training_job_name": "wordsight-dev-first", "artifact_s3_uri": artifact + "/"}


def test_a_failed_job_ends_the_execution_with_its_reason(dev: Assembly) -> None:
    with pytest.raises(stepfunctions._ExecutionError) as raised:
        after_the_error(dev, "States.TaskFailed", json.dumps(FAILED, separators=(",", ":")))
    assert raised.value.error == "Wordsight.TrainingFailed"
    assert raised.value.cause == (
        "training job wordsight-dev-first failed: AlgorithmError: no 'images' {in} the manifest"
    )


@pytest.mark.parametrize("as_error", [True, False])
@pytest.mark.parametrize("job", [STOPPED, {**COMPLETED, **STOPPED}])
def test_a_stopped_job_is_no_finished_one_however_it_is_reported(
    dev: Assembly, job: dict[str, Any], as_error: bool
) -> None:
    with pytest.raises(stepfunctions._ExecutionError) as raised:
        if as_error:
            after_the_error(dev, "States.TaskFailed", json.dumps(job))
        else:
            after_the_job(dev, job)
    assert raised.value.error == "Wordsight.TrainingStopped"
    assert raised.value.cause.startswith("training job wordsight-dev-first ended as Stopped (MaxRuntimeExceeded)")
    assert "max_run_s" in raised.value.cause


def test_a_job_that_was_refused_ends_the_execution_with_sagemakers_sentence(dev: Assembly) -> None:
    with pytest.raises(stepfunctions._ExecutionError) as raised:
        after_the_error(dev, "SageMaker.AmazonSageMakerException", "The account-level service limit is 0 Instances")
    assert raised.value.error == "SageMaker.AmazonSageMakerException"
    assert raised.value.cause == "The account-level service limit is 0 Instances"


def test_hyperparameters_may_be_left_out(dev: Assembly) -> None:
    states = definition(dev)
    assert states["NoHyperparameters"]["Result"] == {}
    assert states["NoHyperparameters"]["ResultPath"] == "$.hyperparameters"
    assert states["CheckInput"]["Default"] == "NoHyperparameters"


def test_a_job_keeps_its_permissions_for_as_long_as_there_is_a_state_machine(dev: Assembly) -> None:
    machines = dev.training.of_type("AWS::StepFunctions::StateMachine")
    (machine,) = (each for id, each in machines.items() if id.startswith("StateMachine"))
    (policy,) = (id for id in dev.training.of_type("AWS::IAM::Policy") if id.startswith("ExecutionRole"))
    assert policy in machine["DependsOn"]


def test_whoever_trains_finds_the_state_machine(dev: Assembly) -> None:
    assert dev.training.outputs["StateMachineArn"].startswith("${StateMachine")


def test_its_functions_may_do_what_they_are_for_and_nothing_else(dev: Assembly) -> None:
    assert granted(dev.training, "Snapshot") == {
        "s3:GetObject": {
            *(f"{DATA}/annotations/*", f"{DATA}/snapshots/*", f"{DATA}/tasks/*"),
            f"{ARTIFACTS}/registry/*",
        },
        "s3:PutObject": {f"{DATA}/snapshots/*"},
        "s3:ListBucket": {DATA, ARTIFACTS},
    }
    assert granted(dev.training, "Gate") == {
        "s3:GetObject": {f"{ARTIFACTS}/models/*"},
        "s3:PutObject": {f"{ARTIFACTS}/registry/*", f"{ARTIFACTS}/promotions/*"},
        "s3:ListBucket": {ARTIFACTS},
        "cloudformation:DescribeStacks": {SERVING_STACK},
    }


def test_the_revision_is_the_commit_with_a_mark_if_files_differ() -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=REPOSITORY_ROOT, capture_output=True, text=True)
    if head.returncode:
        assert git_revision() == UNKNOWN_REVISION  # a copy without git
    else:
        assert git_revision().removesuffix("-dirty") == head.stdout.strip()


def test_a_machine_without_git_deploys_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_revision() == UNKNOWN_REVISION
