import json

from tests.stacks.conftest import Assembly, flat

DATA = "${WordsightData-dev.PublishOutputFnGetAttData666C94C7Arn14D6E0D7}"
ARTIFACTS = "${WordsightData-dev.PublishOutputFnGetAttArtifacts82DD59A1Arn203AF0AE}"
ACCOUNT = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:"


def test_a_job_reads_what_users_gave_and_writes_models_and_checkpoints_and_nothing_else(dev: Assembly) -> None:
    objects = {
        action: set(resources)
        for actions, resources, _ in dev.training.statements("ExecutionRole")
        for action in actions
        if action.startswith("s3:") and action != "s3:ListBucket"
    }
    assert objects == {
        "s3:GetObject": {
            *(f"{DATA}/{prefix}/*" for prefix in ("annotations", "images", "snapshots")),
            f"{ARTIFACTS}/checkpoints/*",
        },
        "s3:PutObject": {f"{ARTIFACTS}/models/*", f"{ARTIFACTS}/checkpoints/*"},
    }


def test_a_job_lists_only_what_it_may_read(dev: Assembly) -> None:
    listing = {
        resources: condition
        for actions, resources, condition in dev.training.statements("ExecutionRole")
        if "s3:ListBucket" in actions
    }
    assert listing == {
        (DATA,): {"StringLike": {"s3:prefix": ["annotations/*", "images/*", "snapshots/*"]}},
        (ARTIFACTS,): {"StringLike": {"s3:prefix": ["checkpoints/*"]}},
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
    machine = dev.training.the("AWS::StepFunctions::StateMachine")
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert machine["TracingConfiguration"] == {"Enabled": True}


def definition(assembly: Assembly) -> dict[str, dict[str, object]]:
    text = flat(assembly.training.the("AWS::StepFunctions::StateMachine")["DefinitionString"])
    states: dict[str, dict[str, object]] = json.loads(text)["States"]
    return states


def test_an_execution_without_a_dataset_of_ours_fails_with_a_sentence(dev: Assembly) -> None:
    states = definition(dev)
    assert states["NoDataset"]["Type"] == "Fail"
    assert "give an S3 prefix under s3://" in str(states["NoDataset"]["Cause"])
    choices = json.dumps(states["CheckInput"]["Choices"])
    assert choices.count('"Next": "NoDataset"') == 2


def test_a_failed_job_ends_the_execution_with_its_reason(dev: Assembly) -> None:
    states = definition(dev)
    assert states["TrainingJob"]["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "HasReason"}
    ]
    assert "$.failed.job.FailureReason" in str(states["TrainingFailed"]["CausePath"])
    assert states["TrainingNotRun"]["CausePath"] == "$.error.Cause"


def test_hyperparameters_may_be_left_out(dev: Assembly) -> None:
    states = definition(dev)
    assert states["NoHyperparameters"]["Result"] == {}
    assert states["NoHyperparameters"]["ResultPath"] == "$.hyperparameters"
    assert states["CheckInput"]["Default"] == "NoHyperparameters"


def test_whoever_trains_finds_the_state_machine(dev: Assembly) -> None:
    assert dev.training.outputs["StateMachineArn"].startswith("${StateMachine")
