import pytest

from contract.settings import SettingsError
from lambdas.settings import ClassifySettings, GateSettings, ManageSettings

COMPLETE = {"ENDPOINT_NAME": "wordsight-dev", "DATA_BUCKET": "wordsight-data"}
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:Some"
OF_MANAGE = {
    **{"DATA_BUCKET": "data", "ARTIFACTS_BUCKET": "artifacts", "SERVING_STACK": "WordsightServing-dev"},
    **dict.fromkeys(("TRAINING_MACHINE_ARN", "PROMOTION_MACHINE_ARN", "BATCH_MACHINE_ARN"), MACHINE),
    **dict.fromkeys(("IMPORT_MACHINE_ARN", "PAUSE_MACHINE_ARN"), MACHINE),
    **{"JOB_NAME_PREFIX": "wordsight-dev-", "MAX_RUN_S": "7200", "MAX_WAIT_S": "14400"},
    **{"SPOT": "False", "USD_PER_HOUR": "0.428", "TRAINING_MACHINES": "1", "TRAINING_IMAGES_PER_S": "8.0"},
    **{"MAX_PARALLEL_TRAININGS": "1", "MAX_TRAINING_USD_PER_MONTH": "50.0"},
    **{"ENDPOINT_NAME": "wordsight-dev", "ENDPOINT_USD_PER_HOUR": "0.214"},
}


def test_what_the_stack_writes_the_function_reads():
    settings = ClassifySettings(
        endpoint_name="wordsight-dev",
        data_bucket="a-bucket",
        cors_origins=("https://a.example", "http://localhost:3000"),
    )
    assert ClassifySettings.from_env(settings.to_env()) == settings


def test_numbers_and_switches_are_read_and_written_as_they_were():
    settings = ManageSettings.from_env(OF_MANAGE)
    assert (settings.max_run_s, settings.spot, settings.usd_per_hour) == (7200, False, 0.428)
    assert settings.to_env() == OF_MANAGE
    assert ManageSettings.from_env({**OF_MANAGE, "SPOT": "True"}).spot


def test_a_function_may_stand_for_the_endpoint():
    arn = "arn:aws:lambda:us-east-1:123456789012:function:wordsight-dev"
    assert ClassifySettings.from_env({**COMPLETE, "ENDPOINT_NAME": arn}).endpoint_name == arn
    with pytest.raises(SettingsError, match="or the ARN of a Lambda function"):
        ClassifySettings.from_env({**COMPLETE, "ENDPOINT_NAME": arn.replace(":function:", ":layer:")})


def test_no_origin_is_allowed_unless_named():
    assert ClassifySettings.from_env(COMPLETE).cors_origins == ()
    assert ClassifySettings.from_env({**COMPLETE, "CORS_ORIGINS": ""}).cors_origins == ()


def test_every_missing_variable_is_named_at_once():
    with pytest.raises(SettingsError, match=r"ENDPOINT_NAME.*DATA_BUCKET"):
        ClassifySettings.from_env({})
    with pytest.raises(SettingsError) as refused:
        GateSettings.from_env({"ARTIFACTS_BUCKET": "artifacts", "SERVING_STACK": ""})
    stack, commit = str(refused.value).split("; ")
    assert stack == (
        "the environment variable SERVING_STACK is missing or empty: set it to the name of a CloudFormation stack"
    )
    assert commit == "the environment variable GIT_REVISION is missing or empty: set it to a commit, or unknown"


@pytest.mark.parametrize(
    "name, value",
    [
        ("ENDPOINT_NAME", "under_score"),
        ("ENDPOINT_NAME", "e" * 64),
        ("DATA_BUCKET", "s3://bucket"),
        ("DATA_BUCKET", "Upper"),
        ("CORS_ORIGINS", "https://a.example, example.com"),
        ("CORS_ORIGINS", "https://a.example/path"),
        ("CORS_ORIGINS", "https://*.example"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(name, value):
    with pytest.raises(SettingsError, match=f"^the environment variable {name} is '[^, ]*', allowed is"):
        ClassifySettings.from_env({**COMPLETE, name: value})


@pytest.mark.parametrize(
    "name, value, allowed",
    [
        ("MAX_RUN_S", "0", "whole seconds"),
        ("MAX_WAIT_S", "soon", "whole seconds"),
        ("SPOT", "yes", "True or False"),
        ("USD_PER_HOUR", "-1", "what machines cost in an hour, 0 if that is not known"),
        ("USD_PER_HOUR", "nan", "what machines cost in an hour, 0 if that is not known"),
        ("MAX_PARALLEL_TRAININGS", "0", "how many trainings may run at once"),
        ("MAX_TRAINING_USD_PER_MONTH", "-1", "USD, 0 for no limit"),
        ("TRAINING_MACHINE_ARN", "Some", "the ARN of a state machine"),
        ("JOB_NAME_PREFIX", "wordsight", "what all jobs are called first"),
        ("SERVING_STACK", "1st", "the name of a CloudFormation stack"),
    ],
)
def test_limits_prices_and_machines_are_checked_as_well(name, value, allowed):
    with pytest.raises(SettingsError) as refused:
        ManageSettings.from_env({**OF_MANAGE, name: value})
    assert str(refused.value) == f"the environment variable {name} is {value!r}, allowed is {allowed}"
